"""Items of all requests wait together, and go through an engine together.

There is no fixed delay: whenever an engine is free it takes what waits, so that batches are as large as the load makes
them. Where it computes several batches at once, each gets its share of what waits; beside one that is computed the next
begins when it has some items, or no more come, as a few together take little longer than one. Requests take turns item
by item, so that a small one is not held up by a large one; so do models. Owners come before both: a batch is shared
evenly among those who wait, so that one with many requests holds up nobody with few.
"""

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from app.predictions.tickets import Runs, Ticket, stopping
from models_store.errors import UnavailableError

if TYPE_CHECKING:  # torch takes seconds to import; see app.pretrained
    from app.pretrained import Judged, Prepared

MAX_BATCH: Final = 16
"""On a CPU larger batches are no faster, and the first items of a batch wait for its last."""
_RATIO: Final = 1.5
_APART: Final = 16
"""A batch is padded to its longest text, which has at most so many times, or so many more, the shortest's tokens."""
_LOOK_AHEAD: Final = 4 * MAX_BATCH
_ENOUGH: Final = 4
"""Items of a batch from which on another one more makes each hardly quicker (bench: texts on one of two cores)."""
_QUIET: Final = 0.003
"""Seconds without another item after which none is waited for: requests that are on their way are that far apart."""
Observer = Callable[[int, float], None]
"""Hears of every batch: items, seconds."""


@dataclass
class _Group:
    """The requests whose items may share a batch, in turn."""

    key: Hashable
    parallel: int
    tickets: OrderedDict[int, Ticket] = field(default_factory=OrderedDict)
    running: int = 0
    """Batches."""
    came_at: float = 0.0
    """When items came last, by ``time.monotonic()``."""

    @property
    def waiting(self) -> int:
        """Items."""
        return sum(len(ticket.waiting) for ticket in self.tickets.values())

    @property
    def gathering(self) -> float:
        """Seconds for which the next batch, with so few items as wait now, is better not begun yet."""
        if not self.running or self.waiting >= _ENOUGH:
            return 0.0
        return max(0.0, self.came_at + _QUIET - time.monotonic())

    def has(self, owner: str) -> bool:
        """Whether items of this owner wait here."""
        return any(ticket.owner == owner and ticket.waiting for ticket in self.tickets.values())

    def chosen(self, owner: str, most: int) -> list[tuple[Ticket, int]]:
        """The items of the next batch, of which the first is this owner's; their requests go to the end of the turn."""
        first, *others = self._candidates(owner)
        lengths = [_length(first)]
        batch = [first]
        for entry in sorted(others, key=lambda other: abs(_length(other) - lengths[0])):
            longest, shortest = max(*lengths, _length(entry)), min(*lengths, _length(entry))
            if len(batch) == most or longest > max(_RATIO * shortest, shortest + _APART):
                break
            batch.append(entry)
            lengths.append(_length(entry))
        for one, taken in batch:
            one.waiting.remove(taken)
            self.tickets.move_to_end(id(one))
        return batch

    def _candidates(self, owner: str) -> list[tuple[Ticket, int]]:
        """Of each owner as many as of the one with fewest: one of each request, then a second of each, and so on."""
        owners = dict.fromkeys([owner, *(ticket.owner for ticket in self.tickets.values())])
        lines = [self._line(one) for one in owners]
        share = min(len(line) for line in lines)
        return [entry for layer in zip(*(line[:share] for line in lines), strict=True) for entry in layer][:_LOOK_AHEAD]

    def _line(self, owner: str) -> list[tuple[Ticket, int]]:
        found: list[tuple[Ticket, int]] = []
        mine = [ticket for ticket in self.tickets.values() if ticket.owner == owner]
        turn = 0
        while len(found) < _LOOK_AHEAD:
            layer = [(one, one.waiting[turn]) for one in mine if len(one.waiting) > turn]
            if not layer:
                break
            found += layer
            turn += 1
        return found[:_LOOK_AHEAD]


def _length(entry: tuple[Ticket, int]) -> int:
    ticket, place = entry
    return ticket.runs.length(ticket.items[place])


def _judged(batch: list[tuple[Ticket, int]]) -> "list[Judged]":
    """One pass for all, then each model its own."""
    features = batch[0][0].runs.run([ticket.items[place] for ticket, place in batch])
    rows: dict[int, list[int]] = {}
    for row, (ticket, _) in enumerate(batch):
        rows.setdefault(id(ticket.runs), []).append(row)
    judged: dict[int, Judged] = {}
    for mine in rows.values():
        judged |= zip(mine, batch[mine[0]][0].runs.judge(features[mine]), strict=True)
    return [judged[row] for row in range(len(batch))]


def _tell(batch: list[tuple[Ticket, int]], started_at: int) -> None:
    """Before the answers go out: the spans of a request end before it does."""
    for ticket, items in Counter(ticket for ticket, _ in batch if ticket.span is not None).items():
        ticket.tell(items, len(batch), started_at)


class Batcher:
    """Runs what waits, in threads of its own.

    Args:
        lanes: batches that may be run at once, over all engines.
        observe: hears of every batch.
    """

    def __init__(self, lanes: int = 1, observe: Observer = lambda _items, _seconds: None) -> None:
        self._observe = observe
        self._change = threading.Condition()
        self._groups: OrderedDict[Hashable, _Group] = OrderedDict()
        self._served: OrderedDict[str, None] = OrderedDict()
        """Owners who wait, or did at the last batch, by when a batch began with an item of theirs; the last is last."""
        self._stopping = False
        self._idle = lanes
        self._threads = [threading.Thread(target=self._work, name=f"batches-{n}", daemon=True) for n in range(lanes)]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Requests of which items wait."""
        with self._change:
            return sum(bool(ticket.waiting) for ticket in self._tickets())

    def submit(self, runs: Runs, items: "Sequence[Prepared]", deadline: float, owner: str = "") -> Ticket:
        """Take a place. ``deadline`` is a time of ``time.monotonic()``, after which nobody needs it any more.

        Raises:
            UnavailableError: ``stopping``.
        """
        ticket = Ticket(runs, items, deadline, owner)
        with self._change:
            if self._stopping:
                raise stopping()
            group = self._groups.setdefault(runs.key, _Group(runs.key, runs.parallel))
            group.tickets[id(ticket)] = ticket
            group.came_at = time.monotonic()
            self._change.notify()
        return ticket

    def cancel(self, ticket: Ticket) -> None:
        """Nobody waits for it any more."""
        with self._change:
            ticket.fail(CancelledError())

    def stop(self) -> None:
        """Refuse what comes and what waits."""
        with self._change:
            self._stopping = True
            self._change.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        """If this ends for a fault of its own, nobody must wait for it in vain."""
        batch: list[tuple[Ticket, int]] = []
        try:
            while found := self._next():
                group, batch = found
                self._run(batch)
                batch = []
                del found  # what was asked for must not outlive its answer
                self._end(group)
        finally:
            with self._change:
                self._stopping = True
                self._change.notify_all()
                for ticket in [*self._tickets(), *(ticket for ticket, _ in batch)]:
                    ticket.fail(stopping())

    def _run(self, batch: list[tuple[Ticket, int]]) -> None:
        """Where a batch fails, each item is tried alone, so that only a bad one fails."""
        started_at = time.time_ns()
        try:
            judged = _judged(batch)
        except Exception as error:  # noqa: BLE001 - it is told to who asked; the next batch may be good
            if len(batch) == 1:
                with self._change:
                    batch[0][0].fail(error)
            else:
                for entry in batch:
                    self._run([entry])
        else:
            self._observe(len(batch), (time.time_ns() - started_at) / 1e9)
            _tell(batch, started_at)
            with self._change:
                for (ticket, place), one in zip(batch, judged, strict=True):
                    ticket.give(place, one)

    def _next(self) -> tuple[_Group, list[tuple[Ticket, int]]] | None:
        """Wait for items that may be run now; none when it is over."""
        with self._change:
            while not self._stopping:
                self._tidy()
                if chosen := self._chosen():
                    self._idle -= 1
                    chosen[0].running += 1
                    if self._idle and any(group.waiting for group in self._groups.values()):
                        self._change.notify()  # another lane for the rest
                    return chosen
                self._change.wait(min((group.gathering for group in self._free()), default=None))
            return None

    def _end(self, group: _Group) -> None:
        """A batch is over; the lane looks at once for what has waited for its engine."""
        with self._change:
            self._idle += 1
            group.running -= 1

    def _chosen(self) -> tuple[_Group, list[tuple[Ticket, int]]] | None:
        """A batch that begins with an item of who was not served for longest, from the group whose turn it is then."""
        waiting = {ticket.owner for ticket in self._tickets() if ticket.waiting}
        self._served = OrderedDict.fromkeys(
            [*(waiting - self._served.keys()), *(owner for owner in self._served if owner in waiting)]
        )
        free = [group for group in self._free() if not group.gathering]
        for owner in self._served:
            for group in free:
                if group.has(owner):
                    self._served.move_to_end(owner)
                    self._groups.move_to_end(group.key)
                    return group, group.chosen(owner, self._share(group))
        return None

    def _free(self) -> list[_Group]:
        """Those of which another batch may be run now."""
        return [group for group in self._groups.values() if group.waiting and group.running < group.parallel]

    def _share(self, group: _Group) -> int:
        """Items of a batch, where as many others as may be run beside it get as many."""
        batches = min(self._idle, group.parallel - group.running)
        return min(MAX_BATCH, -(-group.waiting // batches))

    def _tidy(self) -> None:
        """Drop what is done, what nobody waits for, and what comes too late."""
        now = time.monotonic()
        for ticket in self._tickets():
            if ticket.waiting and ticket.deadline < now:
                ticket.fail(UnavailableError("prediction_timeout", _TIMEOUT))
        for key, group in [*self._groups.items()]:
            for number in [number for number, ticket in group.tickets.items() if not ticket.waiting]:
                del group.tickets[number]
            if not group.tickets and not group.running:
                del self._groups[key]

    def _tickets(self) -> Iterator[Ticket]:
        for group in self._groups.values():
            yield from group.tickets.values()


_TIMEOUT: Final = "The prediction waited too long for its turn. Send it again after the time in Retry-After."
