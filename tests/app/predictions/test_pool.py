import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from app.predictions.pool import ModelPool
from models_store.errors import UnavailableError


@dataclass(frozen=True)
class Held:
    """Something of a size."""

    nbytes: int


@dataclass(frozen=True)
class Echo:
    """A model that says its name."""

    name: str
    engine: Held
    nbytes: int = 1


class Shelf:
    """Loads models, counts, and can be made to wait or to fail."""

    def __init__(self) -> None:
        self.loaded: list[str] = []
        self.gate = threading.Event()
        self.started = threading.Semaphore(0)
        self.gate.set()
        self.broken = False
        self.engines: dict[str, Held] = {}

    def load(self, model_id: str) -> Echo:
        self.loaded.append(model_id)
        self.started.release()
        if model_id.startswith("slow"):
            self.gate.wait(10)
        if self.broken:
            raise UnavailableError("weights_unavailable", "They are gone. Find them.")
        trunk = model_id.partition("/")[0]
        return Echo(model_id, self.engines.setdefault(trunk, Held(10)))


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def pool(shelf: Shelf) -> "ModelPool[Echo]":
    return ModelPool(shelf.load, max_bytes=24, max_waiting=4)


def _label(pool: "ModelPool[Echo]", model: str) -> str:
    return pool.get(model).name


def test_a_model_is_loaded_once_however_many_ask(pool: "ModelPool[Echo]", shelf: Shelf) -> None:
    shelf.gate.clear()
    with ThreadPoolExecutor(8) as threads:
        answers = [threads.submit(_label, pool, "slow") for _ in range(8)]
        shelf.started.acquire(timeout=10)
        shelf.gate.set()
        assert {answer.result(10) for answer in answers} == {"slow"}
    assert shelf.loaded == ["slow"]


def test_a_model_that_loads_does_not_hold_up_others(pool: "ModelPool[Echo]", shelf: Shelf) -> None:
    shelf.gate.clear()
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(_label, pool, "slow")
        shelf.started.acquire(timeout=10)
        assert _label(pool, "quick") == "quick"
        assert not slow.done()
        shelf.gate.set()


def test_a_model_is_ready_when_it_has_been_loaded(pool: "ModelPool[Echo]", shelf: Shelf) -> None:
    shelf.gate.clear()
    with ThreadPoolExecutor(1) as threads:
        coming = threads.submit(pool.get, "slow")
        shelf.started.acquire(timeout=10)
        assert pool.ready("slow") is None
        shelf.gate.set()
        assert coming.result(10) is pool.ready("slow")
    assert pool.ready("other") is None
    assert shelf.loaded == ["slow"]


def test_to_ask_whether_it_is_ready_counts_as_use(pool: "ModelPool[Echo]", shelf: Shelf) -> None:
    for model in ("a", "b"):
        pool.get(model)
    pool.ready("a")
    pool.get("c")
    assert pool.ready("b") is None
    assert pool.ready("a") is not None
    assert shelf.loaded == ["a", "b", "c"]


def test_the_longest_unused_is_dropped_first(pool: "ModelPool[Echo]", shelf: Shelf) -> None:
    for model in ("a", "b", "a", "c", "a", "b"):
        _label(pool, model)
    assert shelf.loaded == ["a", "b", "c", "b"]


def test_models_on_one_trunk_are_counted_with_it_once(pool: "ModelPool[Echo]", shelf: Shelf) -> None:
    names = [f"trunk/{number}" for number in range(14)]
    for model in names:
        _label(pool, model)
    for model in reversed(names):
        _label(pool, model)
    assert shelf.loaded == names
    _label(pool, "trunk/14")
    _label(pool, "trunk/13")
    assert shelf.loaded == [*names, "trunk/14", "trunk/13"]


def test_one_model_is_kept_however_large(shelf: Shelf) -> None:
    small: ModelPool[Echo] = ModelPool(shelf.load, max_bytes=1, max_waiting=4)
    assert [_label(small, "a") for _ in range(2)] == ["a", "a"]
    _label(small, "b")
    _label(small, "a")
    assert shelf.loaded == ["a", "b", "a"]


def test_a_failed_load_is_told_to_all_and_tried_again(pool: "ModelPool[Echo]", shelf: Shelf) -> None:
    shelf.broken = True
    for _ in range(2):
        with pytest.raises(UnavailableError):
            _label(pool, "a")
    shelf.broken = False
    assert _label(pool, "a") == "a"
    assert len(shelf.loaded) == 3


def test_a_dropped_model_is_loaded_again(pool: "ModelPool[Echo]", shelf: Shelf) -> None:
    _label(pool, "a")
    pool.drop("a")
    pool.drop("unknown")
    _label(pool, "a")
    assert shelf.loaded == ["a", "a"]


def test_places_are_bounded_and_given_back(pool: "ModelPool[Echo]") -> None:
    def fill(left: int) -> None:
        with pool.place(f"owner {left}"):
            if left > 1:
                fill(left - 1)

    fill(4)
    with pytest.raises(UnavailableError) as refused:
        fill(5)
    assert refused.value.code == "overloaded"
    fill(4)
