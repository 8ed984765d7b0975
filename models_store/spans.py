"""Traces: what the spans of requests and jobs are, for all who tell of their work; see docs/operations.md.

Off, unless the standard variables name an OpenTelemetry collector. Then nothing of OpenTelemetry is imported here, no
span is ever current, and telling of a piece of work costs one look at a context variable. Names and attributes are ids,
counts and kinds, never what users have written or sent.
"""

import contextlib
import functools
import importlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, Final, Literal, ParamSpec, Protocol, TypeVar

import structlog
from structlog.typing import EventDict

from models_store.errors import FinetunedError

P = ParamSpec("P")
R = TypeVar("R")
Attributes = Mapping[str, str | int | float | bool]
Kind = Literal["internal", "server", "producer", "consumer"]
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_NOTHING: Final[AbstractContextManager[None]] = nullcontext()
_log = structlog.get_logger()


class Span(Protocol):
    """A piece of work that is told of. Times are nanoseconds since 1970."""

    @property
    def trace_id(self) -> str:
        """Of the trace that it is part of; 32 hexadecimal digits."""

    @property
    def traceparent(self) -> str:
        """By which another process goes on with it, in W3C's form."""

    def child(
        self, name: str, attributes: Attributes | None = None, *, kind: Kind = "internal", start: int = 0
    ) -> "Span":
        """A part of this work, which begins now, or at ``start``."""

    def rename(self, name: str) -> None:
        """Its name is known only now."""

    def note(self, attributes: Attributes) -> None:
        """What is known of it now."""

    def event(self, name: str, attributes: Attributes | None = None) -> None:
        """Something that happened in it, at this moment."""

    def end(self, *, error: str | None = None, at: int = 0) -> None:
        """It is over, now or ``at`` some time; ``error`` names the kind of failure."""


class Way(Protocol):
    """Takes spans to a collector."""

    def begun(self, name: str, traceparent: str | None, attributes: Attributes | None, kind: Kind, start: int) -> Span:
        """A span below another process's, or, without one that can be read, the first of a trace."""

    def continued(self, traceparent: str) -> Span:
        """Another process's span, as a parent alone: who has begun it ends it."""

    def close(self) -> None:
        """Send what waits, but not for long."""


_current: ContextVar[Span | None] = ContextVar("span", default=None)


def current() -> Span | None:
    """The work that this thread or task does now, where it is traced."""
    return _current.get()


@contextmanager
def entered(span: Span | None) -> Iterator[None]:
    """The block is this span's work, and the span ends with it."""
    token = _current.set(span)
    try:
        yield
    except BaseException as error:
        if span is not None:
            span.end(error=_kind(error))
        raise
    else:
        if span is not None:
            span.end()
    finally:
        _current.reset(token)


def part(name: str, attributes: Attributes | None = None) -> AbstractContextManager[None]:
    """The block is a part of the current work, where that is traced."""
    whole = _current.get()
    return _NOTHING if whole is None else entered(whole.child(name, attributes))


def parted(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Every call of the function is a part of the work that calls it, where that is traced."""

    def decorated(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def told(*args: P.args, **kwargs: P.kwargs) -> R:
            with part(name):
                return function(*args, **kwargs)

        return told

    return decorated


def event(name: str, attributes: Attributes | None = None) -> None:
    """Something happened in the current work, where that is traced."""
    whole = _current.get()
    if whole is not None:
        whole.event(name, attributes)


def note(attributes: Attributes) -> None:
    """This is known of the current work, where that is traced."""
    whole = _current.get()
    if whole is not None:
        whole.note(attributes)


def traceparent() -> str | None:
    """By which another process goes on with the current work, where that is traced."""
    whole = _current.get()
    return None if whole is None else whole.traceparent


def with_trace_id(_logger: Any, _method: str, record: EventDict) -> EventDict:
    """A processor of structlog: log lines of traced work carry its trace's id."""
    whole = _current.get()
    if whole is not None:
        record["trace_id"] = whole.trace_id
    return record


class Tracer:
    """Begins the spans of one process. A fork before the first of them harms nothing: until then nothing is open.

    Args:
        part: of the service, as traces show it.
        telling: whether its log says when spans do not arrive.
    """

    def __init__(self, part: str, *, telling: bool = True) -> None:
        self._part, self._telling = part, telling
        self._lock = threading.Lock()
        self._way: Way | None = None
        self.on = _wanted(os.environ)
        """Whether spans are sent at all."""

    def begin(
        self,
        name: str,
        traceparent: str | None = None,
        attributes: Attributes | None = None,
        *,
        kind: Kind = "internal",
        start: int = 0,
    ) -> Span | None:
        """A span below another process's, or the first of a trace; None where nothing is traced."""
        way = self._opened()
        return None if way is None else way.begun(name, traceparent, attributes, kind, start)

    def continued(self, traceparent: str) -> Span | None:
        """Another process's span, as the parent of what is done here; None where nothing is traced."""
        way = self._opened() if traceparent else None
        return None if way is None else way.continued(traceparent)

    def open(self) -> None:
        """Import and open now what the first span needs, where that may take its time."""
        self._opened()

    def close(self) -> None:
        """Send what waits, for no longer than a moment: a collector that does not answer holds nobody up."""
        if self._way is not None:
            self._way.close()

    def _opened(self) -> Way | None:
        if not self.on or self._way is not None:
            return self._way
        with self._lock:
            if self._way is None and self.on:
                self._open()
        return self._way

    def _open(self) -> None:
        """What is not installed, or a setting that cannot be read, ends the tracing and nothing else."""
        try:
            self._way = _exporting().Collector(self._part, telling=self._telling)
        except ModuleNotFoundError as error:
            self._give_up(f"{error}. Install finetuned[tracing].")
        except ValueError as error:
            self._give_up(str(error))

    def _give_up(self, reason: str) -> None:
        self.on = False
        _log.error("not_traced", reason=reason)


def prepare() -> None:
    """Import now what a first span would import, where spans are sent at all."""
    if _wanted(os.environ):
        with contextlib.suppress(ModuleNotFoundError):
            _exporting()


def _exporting() -> Any:
    """Half a second and thirty megabytes that nobody pays who does not trace."""
    return importlib.import_module("models_store.otlp")


def _wanted(environment: Mapping[str, str]) -> bool:
    disabled = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    silenced = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none"
    return any(environment.get(name) for name in _ENDPOINTS) and not (disabled or silenced)


def _kind(error: BaseException) -> str:
    return error.code if isinstance(error, FinetunedError) else type(error).__name__
