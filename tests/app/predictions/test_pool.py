import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.predictions.pool import ModelPool, Prediction
from models_store.errors import UnavailableError


class Echo:
    """A model that says its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def predict(self, contents: Sequence[bytes], *, top_k: int, with_logits: bool) -> list[Prediction]:
        return [{"label": self.name, "asked": (content, top_k, with_logits)} for content in contents]


class Shelf:
    """Loads models, counts, and can be made to wait or to fail."""

    def __init__(self) -> None:
        self.loaded: list[str] = []
        self.gate = threading.Event()
        self.started = threading.Semaphore(0)
        self.gate.set()
        self.broken = False

    def load(self, model_id: str) -> Echo:
        self.loaded.append(model_id)
        self.started.release()
        if model_id.startswith("slow"):
            self.gate.wait(10)
        if self.broken:
            raise UnavailableError("weights_unavailable", "They are gone. Find them.")
        return Echo(model_id)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def pool(shelf: Shelf) -> ModelPool:
    return ModelPool(shelf.load, max_models=2, max_waiting=4)


def _label(pool: ModelPool, model: str) -> str:
    return str(pool.predict(model, [b"x"], top_k=1, logits=False)[0]["label"])


def test_a_model_is_loaded_once_however_many_ask(pool: ModelPool, shelf: Shelf) -> None:
    shelf.gate.clear()
    with ThreadPoolExecutor(8) as threads:
        answers = [threads.submit(_label, pool, "slow") for _ in range(8)]
        shelf.started.acquire(timeout=10)
        shelf.gate.set()
        assert {answer.result(10) for answer in answers} == {"slow"}
    assert shelf.loaded == ["slow"]


def test_a_model_that_loads_does_not_hold_up_others(pool: ModelPool, shelf: Shelf) -> None:
    shelf.gate.clear()
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(_label, pool, "slow")
        shelf.started.acquire(timeout=10)
        assert _label(pool, "quick") == "quick"
        assert not slow.done()
        shelf.gate.set()


def test_the_longest_unused_is_dropped_first(pool: ModelPool, shelf: Shelf) -> None:
    for model in ("a", "b", "a", "c", "a", "b"):
        _label(pool, model)
    assert shelf.loaded == ["a", "b", "c", "b"]


def test_a_failed_load_is_told_to_all_and_tried_again(pool: ModelPool, shelf: Shelf) -> None:
    shelf.broken = True
    for _ in range(2):
        with pytest.raises(UnavailableError):
            _label(pool, "a")
    shelf.broken = False
    assert _label(pool, "a") == "a"
    assert len(shelf.loaded) == 3


def test_a_dropped_model_is_loaded_again(pool: ModelPool, shelf: Shelf) -> None:
    _label(pool, "a")
    pool.drop("a")
    pool.drop("unknown")
    _label(pool, "a")
    assert shelf.loaded == ["a", "a"]


def test_places_are_bounded_and_given_back(pool: ModelPool) -> None:
    def fill(left: int) -> None:
        with pool.place():
            if left > 1:
                fill(left - 1)

    fill(4)
    with pytest.raises(UnavailableError) as refused:
        fill(5)
    assert refused.value.code == "overloaded"
    fill(4)
