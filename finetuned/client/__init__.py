"""A client of a running service, blocking or awaited. Needs httpx alone."""

from typing import TYPE_CHECKING, Any

from finetuned.client.errors import ApiError
from finetuned.client.objects import Dataset, Job, Model, ModelRef, NoModelError
from finetuned.client.synchronous import Client

if TYPE_CHECKING:  # asyncio takes as long to import as all the rest
    from finetuned.client.asynchronous import AsyncClient

__all__ = ["ApiError", "AsyncClient", "Client", "Dataset", "Job", "Model", "ModelRef", "NoModelError"]


def __getattr__(name: str) -> Any:
    """Import what is wanted by few when it is wanted."""
    if name == "AsyncClient":
        from finetuned.client.asynchronous import AsyncClient  # noqa: PLC0415 - see above

        return AsyncClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
