"""What several models stand on is in memory once, for as long as one of them is."""

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")


class Shared(Generic[T]):
    """Values by key, each made once however many ask for it; threads may share it. A failure is not kept."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: WeakValueDictionary[Hashable, T] = WeakValueDictionary()
        self._coming: dict[Hashable, Future[T]] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value of this key; while one is being made, others of its key wait, and nobody else."""
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                return value
            coming = self._coming.get(key)
            if coming is None:
                mine: Future[T] = Future()
                self._coming[key] = mine
        return coming.result() if coming is not None else self._make(key, mine, make)

    def _make(self, key: Hashable, future: "Future[T]", make: Callable[[], T]) -> T:
        try:
            value = make()
        except BaseException as error:
            with self._lock:
                del self._coming[key]
            future.set_exception(error)
            raise
        with self._lock:
            self._values[key] = value
            del self._coming[key]
        future.set_result(value)
        return value
