"""The client whose methods are awaited."""

from types import TracebackType
from typing import Self

from finetuned.client.awaiting import AwaitingSession
from finetuned.client.connection import Connected
from finetuned.client.endpoint import Awaiting
from finetuned.client.methods import Datasets, Jobs, Models
from finetuned.client.operating import Checkpoints, Mirror, Operating


class AsyncClient(Datasets, Jobs, Models, Checkpoints, Mirror, Operating, Connected[AwaitingSession], Awaiting):
    """:class:`Client` for an event loop of asyncio: the same arguments and methods, awaited or iterated with ``async``.

    Files are read, zipped and written in threads, so that the loop goes on.
    """

    _opened = AwaitingSession

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Give the connections back."""
        await self.session.aclose()
