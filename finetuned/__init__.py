"""What a person installs and types: the Python client, the command line, and the embedded start."""

from typing import TYPE_CHECKING, Any

from finetuned import client
from finetuned.client import ApiError, Client, Dataset, Job, Model, ModelRef, NoModelError

if TYPE_CHECKING:
    from finetuned.client import AsyncClient

__all__ = ["ApiError", "AsyncClient", "Client", "Dataset", "Job", "Model", "ModelRef", "NoModelError"]


def __getattr__(name: str) -> Any:
    """Import what is wanted by few when it is wanted; see ``finetuned.client``."""
    return getattr(client, name)
