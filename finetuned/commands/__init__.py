"""The commands that are a client of a running service (``FINETUNED_URL``, ``FINETUNED_API_KEY``)."""
