"""Loaded models: each loaded once however many ask for it, the longest unused dropped first, work bounded."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Final, Protocol

from anyio import CapacityLimiter

from models_store.errors import UnavailableError

Prediction = dict[str, Any]
_OVERLOADED: Final = "Too many predictions wait already. Send it again after the time in Retry-After."


class Predicts(Protocol):
    """A model that is ready to answer."""

    def predict(self, contents: Sequence[bytes], *, top_k: int, with_logits: bool) -> list[Prediction]:
        """One prediction an input, in order."""


class ModelPool:
    """Gives predictions of models by id. Threads may share it; a model that loads does not hold up the others.

    Who may use a model, and whether it still exists, is for the caller to check at every request.
    """

    def __init__(self, load: Callable[[str], Predicts], *, max_models: int, max_waiting: int) -> None:
        self._load = load
        self._max_models = max_models
        self._lock = threading.Lock()
        self._models: OrderedDict[str, Future[Predicts]] = OrderedDict()
        self._places = threading.BoundedSemaphore(max_waiting)
        self._turn = threading.Lock()
        self.threads = CapacityLimiter(max_waiting)
        """Who waits here waits in a thread; not in one of those that answer everything else."""

    @contextmanager
    def place(self) -> Iterator[None]:
        """One of the waiting places, for as long as the block lasts.

        Raises:
            UnavailableError: ``overloaded``, all are taken.
        """
        if not self._places.acquire(blocking=False):
            raise UnavailableError("overloaded", _OVERLOADED)
        try:
            yield
        finally:
            self._places.release()

    def predict(self, model_id: str, contents: Sequence[bytes], *, top_k: int, logits: bool) -> list[Prediction]:
        """Load the model if need be, and answer. One computation at a time: torch uses all cores for each.

        Raises:
            FinetunedError: the model cannot be loaded.
        """
        model = self._get(model_id)
        with self._turn:
            return model.predict(contents, top_k=top_k, with_logits=logits)

    def drop(self, model_id: str) -> None:
        """Forget a model, which then gives its memory back when its last request has ended."""
        with self._lock:
            self._models.pop(model_id, None)

    def _get(self, model_id: str) -> Predicts:
        with self._lock:
            known = self._models.get(model_id)
            if known is not None:
                self._models.move_to_end(model_id)
            else:
                mine: Future[Predicts] = Future()
                self._models[model_id] = mine
                while len(self._models) > self._max_models:
                    self._models.popitem(last=False)
        return known.result() if known is not None else self._fill(model_id, mine)

    def _fill(self, model_id: str, future: "Future[Predicts]") -> Predicts:
        """Load for everybody who waits; a failure is told to all of them and not kept."""
        try:
            future.set_result(self._load(model_id))
        except BaseException as error:
            with self._lock:
                if self._models.get(model_id) is future:
                    del self._models[model_id]
            future.set_exception(error)
            raise
        return future.result()
