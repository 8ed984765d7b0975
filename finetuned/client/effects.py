"""What the client's methods ask for, without saying how it is done.

A method is written once, as a generator that yields effects and gets their results back. A session carries them out,
blocking or awaiting; so both clients are one program.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import httpx

from finetuned.client.bodies import Body
from finetuned.client.errors import Json

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Call:
    """Send a request, and get the whole answer.

    ``repeatable``: doing it twice is as good as doing it once, so it may be sent again when nobody knows what became
    of it.
    """

    method: str
    route: str
    params: Json | None = None
    json: Json | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: Body | None = None
    repeatable: bool = False
    read_seconds: float | None = None


@dataclass(frozen=True)
class Open:
    """Send a request, and get an answer whose body is still to come, unless it is a refusal.

    What was open before is closed.
    """

    call: Call


@dataclass(frozen=True)
class Read:
    """Get the next piece of the open answer, a line or some bytes; None after the last."""

    lines: bool


@dataclass(frozen=True)
class Sleep:
    """Let time pass."""

    seconds: float


@dataclass(frozen=True)
class Do:
    """Call a function that reads or writes files: not in an event loop's thread."""

    function: Callable[[], Any]


@dataclass(frozen=True)
class Item(Generic[T]):
    """Give the caller one of several results."""

    value: T


@dataclass
class Service:
    """Whom the requests go to, and how patient we are with it.

    ``met`` is whether it ever answered: then silence is a restart, else most likely a wrong address.
    """

    url: str
    hold_seconds: int
    patience_seconds: float
    met: bool = False


class Ask:
    """Get the :class:`Service`."""


Effect = Call | Open | Read | Sleep | Do | Ask
Op = Generator[Effect, Any, T]
"""Work that ends in one result."""
Feed = Generator[Effect | Item[T], Any, None]
"""Work that gives several results as they come."""


class Course(Generic[T, R]):
    """A generator under way: ``effect`` is what it asks for now, None when it has ended with ``result``."""

    def __init__(self, work: Generator[Effect | Item[T], Any, R]) -> None:
        self._work = work
        self.effect: Effect | Item[T] | None = None
        self.result: R
        self.answer(None)

    def answer(self, value: object) -> None:
        """Go on with what was asked for."""
        self._proceed(lambda: self._work.send(value))

    def fail(self, error: httpx.TransportError) -> None:
        """Go on without it: the network failed."""
        self._proceed(lambda: self._work.throw(error))

    def close(self) -> None:
        """Let the work tidy up, wherever it is."""
        self._work.close()

    def _proceed(self, step: Callable[[], Effect | Item[T]]) -> None:
        try:
            self.effect = step()
        except StopIteration as end:
            self.effect, self.result = None, end.value
