"""Loaded models: each loaded once however many ask for it, the longest unused dropped first when memory is short."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Final, Generic, Protocol, TypeVar

from app.predictions.fairness import Places, Shares
from models_store import spans


class Sized(Protocol):
    """Something that holds memory."""

    @property
    def nbytes(self) -> int:
        """About how much."""


class Loaded(Sized, Protocol):
    """A model that is ready to answer."""

    @property
    def engine(self) -> Sized:
        """What it may share with others."""


M = TypeVar("M", bound=Loaded)
_EACH: Final = 4
"""Requests of an owner that are worked on at once whoever else comes: with fewer, batches would be of one item each."""


class ModelPool(Generic[M]):
    """Gives loaded models by id. Threads may share it; a model that loads does not hold up the others.

    Who may use a model, and whether it still exists, is for the caller to check at every request.

    Args:
        max_bytes: what models and their engines may hold in all; one model is kept however large it is.
        max_waiting: requests that may be answered or wait at once.
    """

    def __init__(self, load: Callable[[str], M], *, max_bytes: int, max_waiting: int) -> None:
        self._load = load
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._models: OrderedDict[str, Future[M]] = OrderedDict()
        self._places = Places(max_waiting)
        self.shares = Shares(_EACH)

    def place(self, owner: str = "") -> AbstractContextManager[None]:
        """One of the waiting places, for as long as the block lasts.

        Raises:
            UnavailableError: ``overloaded``, all are taken, or those of this owner.
        """
        return self._places.of(owner)

    def get(self, model_id: str) -> M:
        """The model, loaded if need be.

        Raises:
            FinetunedError: it cannot be loaded.
        """
        with self._lock:
            known = self._models.get(model_id)
            if known is not None:
                self._models.move_to_end(model_id)
            else:
                mine: Future[M] = Future()
                self._models[model_id] = mine
        return known.result() if known is not None else self._fill(model_id, mine)

    def ready(self, model_id: str) -> M | None:
        """The model, if it is in memory."""
        with self._lock:
            known = self._models.get(model_id)
            if known is None or not known.done():
                return None
            self._models.move_to_end(model_id)
        return known.result()

    def drop(self, model_id: str) -> None:
        """Forget a model, which then gives its memory back when its last request has ended."""
        with self._lock:
            self._models.pop(model_id, None)

    @spans.parted("load")
    def _fill(self, model_id: str, future: "Future[M]") -> M:
        """Load for everybody who waits; a failure is told to all of them and not kept."""
        try:
            model = self._load(model_id)
        except BaseException as error:
            with self._lock:
                if self._models.get(model_id) is future:
                    del self._models[model_id]
            future.set_exception(error)
            raise
        future.set_result(model)
        with self._lock:
            self._evict(model_id)
        return model

    def _evict(self, newest: str) -> None:
        """Drop the longest unused until the rest fits; one that still loads is not known to hold anything."""
        ready = {name: coming.result() for name, coming in self._models.items() if coming.done()}
        for name in [name for name in ready if name != newest]:
            if _bytes(ready.values()) <= self._max_bytes:
                return
            del self._models[name], ready[name]


def _bytes(models: Collection[Loaded]) -> int:
    engines = {id(model.engine): model.engine.nbytes for model in models}
    return sum(model.nbytes for model in models) + sum(engines.values())
