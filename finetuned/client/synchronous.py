"""The client whose methods block."""

from types import TracebackType
from typing import Self

from finetuned.client.blocking import BlockingSession
from finetuned.client.connection import PATIENCE_SECONDS, Target
from finetuned.client.endpoint import Blocking
from finetuned.client.methods import Datasets, Jobs, Models
from finetuned.client.operating import Checkpoints, Mirror, Operating


class Client(Datasets, Jobs, Models, Checkpoints, Mirror, Operating, Blocking):
    """A service; usable as a context manager.

    Args:
        url: of the service; else ``FINETUNED_URL``, else this machine's port 8000.
        key: API key; else ``FINETUNED_API_KEY``, else, for a service on this machine only, the key that
            ``finetuned up`` left in ``FINETUNED_DATA_DIR`` or ``./finetuned-data``.
        timeout: seconds without a byte after which a request is given up.
        patience: seconds for which a request that may be repeated is tried again while the service is away or busy.

    Every method raises :class:`ApiError`.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        timeout: float = 120.0,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self.session = BlockingSession(Target.found(url, key, timeout, patience))

    @property
    def url(self) -> str:
        """The service's address."""
        return self.session.service.url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self.session.close()
