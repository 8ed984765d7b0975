"""Methods that block in one client and are awaited in the other, written once.

A method returns work (:data:`Op`, :data:`Feed`); the decorators here run it in the session of whoever it is called on,
and the overloads tell type checkers which of the two that is.
"""

import functools
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from finetuned.client.effects import Feed, Op
from finetuned.client.errors import Json
from finetuned.client.record import Record

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S", bound=Record)
A = TypeVar("A", bound=Record)


class Blocking:
    """What holds a session that blocks."""


class Awaiting:
    """What holds a session whose calls are awaited."""


B_ = TypeVar("B_", bound=Blocking)
A_ = TypeVar("A_", bound=Awaiting)


class _Endpoint(Generic[P, T]):
    """A method whose result the session brings."""

    def __init__(self, work: Callable[Concatenate[Any, P], Any]) -> None:
        work.__annotations__.pop("return", None)  # it is not what a caller gets
        functools.update_wrapper(self, work)  # type: ignore[arg-type]

        @functools.wraps(work)
        def call(instance: Any, *args: P.args, **kwargs: P.kwargs) -> Any:
            return self._in(instance, work(instance, *args, **kwargs))

        self._call = call

    def _bound(self, instance: Any) -> Any:
        return self if instance is None else MethodType(self._call, instance)

    def _in(self, instance: Any, work: Any) -> Any:
        return instance.session.run(work)

    @staticmethod
    def _maker(instance: Any, blocking: type[Any], awaiting: type[Any]) -> Callable[[Json], Any]:
        kind = blocking if isinstance(instance, Blocking) else awaiting
        return functools.partial(kind.of, session=instance.session)


class _Plain(_Endpoint[P, T]):
    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: Blocking, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, instance: Awaiting, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, instance: Any, owner: type) -> Any:
        return self._bound(instance)


class _Each(_Endpoint[P, T]):
    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: Blocking, owner: type) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, instance: Awaiting, owner: type) -> Callable[P, AsyncIterator[T]]: ...
    def __get__(self, instance: Any, owner: type) -> Any:
        return self._bound(instance)

    def _in(self, instance: Any, work: Any) -> Any:
        return instance.session.each(work)


class _Same(_Endpoint[P, Json]):
    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: B_, owner: type) -> Callable[P, B_]: ...
    @overload
    def __get__(self, instance: A_, owner: type) -> Callable[P, Coroutine[Any, Any, A_]]: ...
    def __get__(self, instance: Any, owner: type) -> Any:
        return self._bound(instance)

    def _in(self, instance: Any, work: Any) -> Any:
        return instance.session.run(_made(work, self._maker(instance, type(instance), type(instance))))


class _One(_Endpoint[P, Json], Generic[P, S, A]):
    def __init__(self, work: Callable[Concatenate[Any, P], Op[Json]], blocking: type[S], awaiting: type[A]) -> None:
        super().__init__(work)
        self._kinds = blocking, awaiting

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: Blocking, owner: type) -> Callable[P, S]: ...
    @overload
    def __get__(self, instance: Awaiting, owner: type) -> Callable[P, Coroutine[Any, Any, A]]: ...
    def __get__(self, instance: Any, owner: type) -> Any:
        return self._bound(instance)

    def _in(self, instance: Any, work: Any) -> Any:
        return instance.session.run(_made(work, self._maker(instance, *self._kinds)))


class _Many(_Endpoint[P, Json], Generic[P, S, A]):
    def __init__(self, work: Callable[Concatenate[Any, P], Feed[Json]], blocking: type[S], awaiting: type[A]) -> None:
        super().__init__(work)
        self._kinds = blocking, awaiting

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: Blocking, owner: type) -> Callable[P, Iterator[S]]: ...
    @overload
    def __get__(self, instance: Awaiting, owner: type) -> Callable[P, AsyncIterator[A]]: ...
    def __get__(self, instance: Any, owner: type) -> Any:
        return self._bound(instance)

    def _in(self, instance: Any, work: Any) -> Any:
        make, found = self._maker(instance, *self._kinds), instance.session.each(work)
        return map(make, found) if isinstance(instance, Blocking) else (make(raw) async for raw in found)


def _made(work: Op[Json], make: Callable[[Json], T]) -> Op[T]:
    raw = yield from work
    return make(raw)


def plain(work: Callable[Concatenate[Any, P], Op[T]]) -> _Plain[P, T]:
    """The result as the work gives it."""
    return _Plain(work)


def each(work: Callable[Concatenate[Any, P], Feed[T]]) -> _Each[P, T]:
    """An iterator over what the work gives."""
    return _Each(work)


def same(work: Callable[Concatenate[Any, P], Op[Json]]) -> _Same[P]:
    """A newer state of the object that the method is called on."""
    return _Same(work)


def one(blocking: type[S], awaiting: type[A]) -> Callable[[Callable[Concatenate[Any, P], Op[Json]]], _One[P, S, A]]:
    """An object with methods of its own, of the one or the other class."""
    return lambda work: _One(work, blocking, awaiting)


def many(blocking: type[S], awaiting: type[A]) -> Callable[[Callable[Concatenate[Any, P], Feed[Json]]], _Many[P, S, A]]:
    """An iterator over objects with methods of their own."""
    return lambda work: _Many(work, blocking, awaiting)
