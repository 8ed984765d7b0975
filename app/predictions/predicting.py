"""From a request's items to what the model makes of them: prepared on every core, batched with those of others."""

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, TypeVar

from app.predictions.batching import MAX_BATCH, Batcher, Observer
from app.predictions.fairness import Turns
from app.predictions.stepping import Steps
from app.predictions.tickets import Ticket, stopping
from models_store import processors, spans
from models_store.errors import FinetunedError

if TYPE_CHECKING:  # torch takes seconds to import; see app.pretrained
    from app.pretrained import Predictor, Prepared, Result

T = TypeVar("T")
Way: TypeAlias = Literal["quickly", "shared", "gently"]
"""How items are prepared: at once, where that takes no time to speak of; by all cores, as owners share them; or by all
cores in threads that give way to all others, as large pictures can take seconds each."""
_GIVING_WAY: Final = 64
"""Threads at most: as many as owners at once have turns for pictures."""
_NICENESS: Final = 5
_LEAST: Final = 19
_AHEAD: Final = 2
"""Parts of one request that are prepared before its first is answered: an image takes half a megabyte then."""


class Leaving:
    """Whether the client of a request is gone; then nothing more is computed for it. Threads may share it.

    Args:
        owner: whose request it is; those of one owner share what there is for each.
    """

    def __init__(self, owner: str = "") -> None:
        self.owner = owner
        self._lock = threading.Lock()
        self._left = False
        self._actions: list[Callable[[], None]] = []

    def then(self, action: Callable[[], None]) -> None:
        """What is to be done when the client leaves; at once if it has left.

        Raises:
            CancelledError: it has left.
        """
        with self._lock:
            if not self._left:
                self._actions.append(action)
                return
        action()
        raise CancelledError

    def check(self) -> None:
        """Go on only if somebody waits.

        Raises:
            CancelledError: the client has left.
        """
        if self._left:
            raise CancelledError

    def leave(self) -> None:
        """The client is gone."""
        with self._lock:
            self._left = True
            actions, self._actions = self._actions, []
        for action in actions:
            action()


class Predicting:
    """Answers requests; threads may share it.

    Args:
        timeout: seconds that items may wait for their turn.
        observe: hears of every batch.
    """

    def __init__(self, timeout: float, observe: Observer = lambda _items, _seconds: None) -> None:
        self._timeout = timeout
        self._cores = processors.usable()
        self._turns = Turns(self._cores)
        self._threads = ThreadPoolExecutor(self._cores, thread_name_prefix="prepare")
        self._giving_way = ThreadPoolExecutor(_GIVING_WAY, "pictures", _give_way)
        self._batcher = Batcher(self._cores, observe)

    @property
    def waiting(self) -> int:
        """Requests of which items wait for an engine."""
        return self._batcher.waiting

    def judge(
        self,
        model: "Predictor",
        items: Sequence[T],
        prepare: "Callable[[Sequence[T]], list[Prepared | FinetunedError]]",
        leaving: Leaving | None = None,
        *,
        way: Way = "shared",
    ) -> "Steps[list[Result]]":
        """One result an item, in order.

        Args:
            model: whose engine and head answer.
            items: as ``prepare`` takes them.
            prepare: one of the model's own ways from items to tensors.
            leaving: tells when nobody waits any more.
            way: how they are prepared.

        Raises:
            UnavailableError: ``prediction_timeout`` or ``stopping``.
            CancelledError: the client has left.
        """
        leaving = leaving or Leaving()
        waiting: deque[tuple[list[Prepared | FinetunedError], Ticket | None]] = deque()
        results: list[Result] = []

        def collect() -> Steps[None]:
            prepared, ticket = waiting[0]
            if ticket is not None:
                yield ticket
            judged = ticket.judged() if ticket else []
            waiting.popleft()
            results.extend(model.results(judged, prepared))

        def cancel() -> None:
            for _, ticket in [*waiting]:
                if ticket is not None:
                    self._batcher.cancel(ticket)

        leaving.then(cancel)
        try:
            for start in range(0, len(items), MAX_BATCH):
                leaving.check()
                prepared = self._prepare(leaving.owner, way, prepare, items[start : start + MAX_BATCH])
                waiting.append((prepared, self._submit(leaving.owner, model, prepared)))
                leaving.check()
                if len(waiting) == _AHEAD:
                    yield from collect()
            while waiting:
                yield from collect()
        finally:
            cancel()  # where one part has failed nobody waits for the others
        return results

    def stop(self) -> None:
        """Refuse what comes and what waits."""
        self._batcher.stop()
        self._threads.shutdown(wait=False)
        self._giving_way.shutdown(wait=False)

    def _submit(self, owner: str, model: "Predictor", prepared: "list[Prepared | FinetunedError]") -> Ticket | None:
        good = [item for item in prepared if not isinstance(item, FinetunedError)]
        if not good:
            return None
        return self._batcher.submit(model, good, time.monotonic() + self._timeout, owner)

    def _gently(
        self, prepare: "Callable[[Sequence[T]], list[Prepared | FinetunedError]]", items: Sequence[T]
    ) -> "list[Prepared | FinetunedError]":
        """Who prepares these has its turn, so that never more threads are wanted than owners have turns."""
        try:
            coming = self._giving_way.submit(prepare, items)
        except RuntimeError as error:  # the threads take nothing more
            raise stopping() from error
        return coming.result()

    @spans.parted("decode")
    def _prepare(
        self,
        owner: str,
        way: Way,
        prepare: "Callable[[Sequence[T]], list[Prepared | FinetunedError]]",
        items: Sequence[T],
    ) -> "list[Prepared | FinetunedError]":
        if way == "quickly":
            return prepare(items)
        return self._shared(owner, partial(self._gently, prepare) if way == "gently" else prepare, items)

    def _shared(
        self, owner: str, prepare: "Callable[[Sequence[T]], list[Prepared | FinetunedError]]", items: Sequence[T]
    ) -> "list[Prepared | FinetunedError]":
        """No more at once of one owner than there are cores: who computes would only wait for its own preparations.

        What the other threads have not begun when this one comes to it, it does itself, and so waits for nobody else's.
        """

        def turn(share: Sequence[T]) -> "list[Prepared | FinetunedError]":
            with self._turns.of(owner):
                return prepare(share)

        first, *others = _shares(items, self._cores)
        try:
            coming = [(share, self._threads.submit(turn, share)) for share in others]
        except RuntimeError as error:  # the threads take nothing more
            raise stopping() from error
        prepared = turn(first)
        for share, one in coming:
            prepared += turn(share) if one.cancel() else one.result()
        return prepared


def _shares(items: Sequence[T], count: int) -> Iterator[Sequence[T]]:
    size = -(-len(items) // count)
    return (items[start : start + size] for start in range(0, len(items), size))


def _give_way() -> None:
    """Of Linux's scheduler the calling thread gets a third of what another gets, where both want a core."""
    me = threading.get_native_id()
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, me, min(_LEAST, os.getpriority(os.PRIO_PROCESS, me) + _NICENESS))
