"""What waits for an engine: some items of a request, and how they are computed; no matter who batches them."""

import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol

from models_store import spans
from models_store.errors import UnavailableError

if TYPE_CHECKING:  # torch takes seconds to import; see app.pretrained
    from torch import Tensor

    from app.pretrained import Judged, Prepared


class Runs(Protocol):
    """What items of one kind go through together: an engine with the collation of its inputs."""

    @property
    def key(self) -> Hashable:
        """Equal for those whose items may share a batch."""

    @property
    def parallel(self) -> int:
        """Batches of this key that may be run at once."""

    def run(self, items: "Sequence[Prepared]") -> "Tensor":
        """Features [N, width] of at least one item."""

    def judge(self, features: "Tensor") -> "Sequence[Judged]":
        """What this model makes of features [N, width]; those of one key share ``run``, and each judges its own."""

    def length(self, item: "Prepared") -> int:
        """What the cost of an item grows with, and what the others of its batch are padded to; 1 where all are one."""


class Ticket:
    """Some items of one request: their place in the queue, and then what the model makes of them, in order."""

    def __init__(self, runs: Runs, items: "Sequence[Prepared]", deadline: float, owner: str = "") -> None:
        self.runs, self.items, self.deadline, self.owner = runs, items, deadline, owner
        self.span = spans.current()
        self.came_at = time.time_ns()
        self.waiting = deque(sorted(range(len(items)), key=lambda place: runs.length(items[place])))
        self._judged: list[Judged | None] = [None] * len(items)
        self._missing = len(items)
        self._done: Future[None] = Future()

    def give(self, place: int, judged: "Judged") -> None:
        """One item is done. Only under the lock of the batcher."""
        self._judged[place] = judged
        self._missing -= 1
        if not self._missing and not self._done.done():
            self._done.set_result(None)

    def tell(self, items: int, batch: int, started_at: int) -> None:
        """Of a batch that ends now, and has some of these items: how long they waited for it, and how long it took."""
        if self.span is None:
            return
        sizes = {"finetuned.items": items, "finetuned.batch": batch}
        for name, start, end in (("queue", self.came_at, started_at), ("engine", started_at, time.time_ns())):
            self.span.child(name, sizes, start=start).end(at=end)

    def fail(self, error: BaseException) -> None:
        """No more will come. Only under the lock of the batcher."""
        self.waiting.clear()
        if not self._done.done():
            self._done.set_exception(error)

    def then(self, action: Callable[[], object]) -> None:
        """Do this when the outcome is known, in the thread that brings it; at once if it is."""
        self._done.add_done_callback(lambda _done: action())

    def judged(self) -> "list[Judged]":
        """Wait for every item.

        Raises:
            UnavailableError: ``prediction_timeout`` or ``stopping``.
            CancelledError: who asked has left.
        """
        self._done.result()
        return [one for one in self._judged if one is not None]


def stopping() -> UnavailableError:
    """The error for those who come, or wait, at the end."""
    return UnavailableError("stopping", "The service is being stopped. Send the request again in a moment.")
