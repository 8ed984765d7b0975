"""What a person installs and types: the Python client, the command line, and the embedded start."""

from finetuned.client import ApiError, Client

__all__ = ["ApiError", "Client"]
