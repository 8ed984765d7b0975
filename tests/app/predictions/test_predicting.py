"""A request's items are prepared, batched with those of others, and answered in order."""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor

from app.predictions.predicting import Leaving, Predicting
from app.predictions.stepping import Steps
from models_store import bundle
from models_store.backbones import FAMILIES
from models_store.backbones.family import Batch
from models_store.engines import ENGINES, Engine
from models_store.errors import FinetunedError, InvalidError, UnavailableError
from models_store.mirror import Mirror
from models_store.network import Network
from models_store.predictor import Predictor
from models_store.preprocessing.protocol import Prepared
from tests.models_store.samples import encoded, noise, photos

T = TypeVar("T")


class Held:
    """An engine that can be held, and notes how many items it was given."""

    parallel = 1

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.nbytes = engine.nbytes
        self.given: list[int] = []
        self.gate, self.begun = threading.Event(), threading.Event()
        self.gate.set()

    def features(self, batch: Batch) -> Tensor:
        self.given.append(len(batch["pixels"]))
        self.begun.set()
        self.gate.wait(10)
        return self._engine.features(batch)


class Slow(Held):
    """One whose batches take a while."""

    def features(self, batch: Batch) -> Tensor:
        time.sleep(0.3)
        return super().features(batch)


class Broken(Held):
    """One that computes nothing."""

    def features(self, batch: Batch) -> Tensor:
        del batch
        raise InvalidError("burnt", "The engine is burnt. Buy another.")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("store")
    torch.manual_seed(0)
    backbone = FAMILIES["timm"].load("test_resnet", None, Mirror(store), {})
    network = Network(backbone.module, backbone.architecture, classes=2)
    saved = store / "models" / "mdl_1"
    bundle.save(saved, store, network, backbone.architecture, backbone.preprocessing, {"labels": ["a", "b"]})
    return saved


@pytest.fixture
def model(directory: Path) -> Predictor:
    stored = bundle.read(directory)
    return Predictor(stored, Held(ENGINES["torch"](directory.parent.parent, stored.card["trunk"], "f32")))


@pytest.fixture
def predicting() -> Iterator[Predicting]:
    made = Predicting(timeout=30)
    yield made
    made.stop()


def engine(model: Predictor) -> Held:
    assert isinstance(model.engine, Held)
    return model.engine


def pictures(count: int) -> list[bytes]:
    return [encoded(noise(20 + number, 30)) for number in range(count)]


def ask(
    predicting: Predicting,
    model: Predictor,
    contents: Sequence[bytes],
    *,
    top_k: int,
    with_logits: bool,
    leaving: Leaving | None = None,
) -> list[dict[str, Any]]:
    """The answers, as ``POST /predict`` gives them."""
    results = waited(predicting.judge(model, contents, model.prepare, leaving))
    return [model.answer(result, top_k=top_k, with_logits=with_logits) for result in results]


def waited(steps: Steps[T]) -> T:
    """What the steps make, all of them in this thread."""
    while True:
        try:
            ticket = next(steps)
        except StopIteration as end:
            made: T = end.value
            return made
        if ticket is not None:
            ended = threading.Event()
            ticket.then(ended.set)
            assert ended.wait(30)


def logits(answers: Sequence[dict[str, list[float]]]) -> Tensor:
    return torch.tensor([answer["logits"] for answer in answers])


def test_many_items_are_answered_in_order_as_each_alone(predicting: Predicting, model: Predictor) -> None:
    contents = pictures(37)
    answers = ask(predicting, model, contents, top_k=2, with_logits=True)
    alone = [model.predict([content], with_logits=True)[0] for content in contents]
    assert torch.allclose(logits(answers), logits(alone), atol=1e-4)
    assert [answer["diagnostics"] for answer in answers] == [answer["diagnostics"] for answer in alone]


def test_bad_items_fail_alone_and_in_their_places(predicting: Predicting, model: Predictor) -> None:
    contents = [b"", photos()["flower"], b"GIF89a", *pictures(20), b"no image"]
    answers = ask(predicting, model, contents, top_k=2, with_logits=False)
    assert [place for place, answer in enumerate(answers) if "error" in answer] == [0, 2, 23]


def test_bad_items_alone_run_no_engine(predicting: Predicting, model: Predictor) -> None:
    assert [answer.keys() for answer in ask(predicting, model, [b""], top_k=1, with_logits=False)] == [{"error"}]
    assert engine(model).given == []


def test_requests_at_once_share_batches(predicting: Predicting, model: Predictor) -> None:
    engine(model).gate.clear()
    contents = pictures(6)
    with ThreadPoolExecutor(6) as threads:
        first = threads.submit(ask, predicting, model, contents[:1], top_k=2, with_logits=True)
        engine(model).begun.wait(10)
        others = [
            threads.submit(ask, predicting, model, [content], top_k=2, with_logits=True) for content in contents[1:]
        ]
        until_waiting(predicting, 5)
        engine(model).gate.set()
        found = [future.result(10)[0] for future in (first, *others)]
    assert engine(model).given == [1, 5]
    assert torch.allclose(logits(found), logits(model.predict(contents, with_logits=True)), atol=1e-4)


def test_nothing_is_computed_for_a_client_that_left(predicting: Predicting, model: Predictor) -> None:
    engine(model).gate.clear()
    leaving = Leaving()
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(ask, predicting, model, pictures(1), top_k=1, with_logits=False)
        engine(model).begun.wait(10)
        left = threads.submit(ask, predicting, model, pictures(100), top_k=1, with_logits=False, leaving=leaving)
        until_waiting(predicting, 1)
        leaving.leave()
        with pytest.raises(CancelledError):
            left.result(10)
        engine(model).gate.set()
        first.result(10)
    ask(predicting, model, pictures(1), top_k=1, with_logits=False)
    assert engine(model).given == [1, 1]


def test_a_client_that_left_before_is_not_served(predicting: Predicting, model: Predictor) -> None:
    leaving = Leaving()
    leaving.leave()
    with pytest.raises(CancelledError):
        ask(predicting, model, pictures(1), top_k=1, with_logits=False, leaving=leaving)


def test_time_is_counted_for_each_part_of_a_request(directory: Path, model: Predictor) -> None:
    """One that is larger than what can be computed within the timeout is answered all the same."""
    slow = Predictor(bundle.read(directory), Slow(engine(model)))
    predicting = Predicting(timeout=2.0)
    try:
        answers = ask(predicting, slow, pictures(1) * 130, top_k=1, with_logits=False)
    finally:
        predicting.stop()
    assert len(answers) == 130
    assert not [answer for answer in answers if "error" in answer]


def test_where_one_part_fails_nobody_computes_the_others(
    directory: Path, predicting: Predicting, model: Predictor
) -> None:
    broken = Predictor(bundle.read(directory), Broken(engine(model)))
    with pytest.raises(FinetunedError, match="burnt"):
        ask(predicting, broken, pictures(1) * 130, top_k=1, with_logits=False)
    assert predicting.waiting == 0


def test_who_comes_after_the_end_is_told_so(model: Predictor) -> None:
    predicting = Predicting(timeout=30)
    predicting.stop()
    for count in (1, 20):
        with pytest.raises(UnavailableError) as refused:
            ask(predicting, model, pictures(count), top_k=1, with_logits=False)
        assert refused.value.code == "stopping"


def until_waiting(predicting: Predicting, requests: int) -> None:
    """Until so many requests wait for the engine."""
    done = threading.Event()
    for _ in range(1000):
        if predicting.waiting == requests:
            return
        done.wait(0.01)
    raise TimeoutError(f"{predicting.waiting} requests wait, not {requests}")


def test_what_is_prepared_gently_gives_way_to_every_other_thread(predicting: Predicting, model: Predictor) -> None:
    niceness: list[int] = []

    def prepare(contents: Sequence[bytes]) -> list[Prepared | FinetunedError]:
        niceness.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return model.prepare(contents)

    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    contents = pictures(5)
    gently = waited(predicting.judge(model, contents, prepare, way="gently"))
    assert niceness
    assert min(niceness) > own
    niceness.clear()
    assert len(waited(predicting.judge(model, contents, prepare))) == len(gently) == 5
    assert {*niceness} == {own}


def test_pictures_that_cannot_be_prepared_any_more_are_refused_as_all_else(
    predicting: Predicting, model: Predictor
) -> None:
    predicting.stop()
    with pytest.raises(UnavailableError) as refused:
        waited(predicting.judge(model, pictures(1), model.prepare, way="gently"))
    assert refused.value.code == "stopping"
