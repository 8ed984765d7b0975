"""The client whose methods block."""

from types import TracebackType
from typing import Self

from finetuned.client.blocking import BlockingSession
from finetuned.client.connection import Connected
from finetuned.client.endpoint import Blocking
from finetuned.client.methods import Datasets, Jobs, Models
from finetuned.client.operating import Checkpoints, Mirror, Operating


class Client(Datasets, Jobs, Models, Checkpoints, Mirror, Operating, Connected[BlockingSession], Blocking):
    """A service, whose methods block; usable as a context manager. For its arguments see :class:`Connected`."""

    _opened = BlockingSession

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self.session.close()
