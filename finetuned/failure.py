"""What keeps ``finetuned up`` from running."""


class UpError(Exception):
    """The service could not be started or stopped; the message says why and what to do."""
