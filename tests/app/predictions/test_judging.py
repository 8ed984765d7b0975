"""What is quick shares threads with other requests; what may take long does not."""

import threading
from collections.abc import Sequence
from functools import partial

import pytest

from app.predictions import judging
from app.predictions.batching import MAX_BATCH
from app.predictions.predicting import Leaving
from app.predictions.stepping import LONG
from app.predictions.tickets import Ticket
from models_store import aliases
from models_store.aliases import Meant
from models_store.database.engine import Database
from models_store.keys import Caller
from tests.app.published import TEXTS, publish
from tests.app.served import Served
from tests.models_store.samples import photos

ADMIN = Caller("admin", "admin")


def find(model: str, database: Database) -> Meant:
    return aliases.meant(database, model, caller=ADMIN)


def first(served: Served, model: str, given: Sequence[str | bytes]) -> Ticket | None:
    """What judging these waits for first; it is given up then."""
    steps = judging.judge(served.service.services, partial(find, model), given, Leaving("admin"))
    try:
        return next(steps)
    finally:
        steps.close()


@pytest.fixture(scope="module")
def loaded(served: Served) -> Served:
    for model, asked in ((served.texts, {"inputs": "a joy"}), (served.images, {"inputs": ""})):
        assert served.client.post("/predict", json={"model": model, **asked}).status_code == 200
    return served


@pytest.fixture(scope="module")
def large(loaded: Served) -> str:
    """A model with many labels."""
    labels = [f"label {number}" for number in range(1500)]
    model = publish(loaded.service, kind=TEXTS, name="large", labels=labels)
    assert loaded.client.post("/predict", json={"model": model, "inputs": "a joy"}).status_code == 200
    return model


@pytest.mark.parametrize("given", [["a joy"], ["a joy"] * MAX_BATCH, ["a joy" * 800, ""]])
def test_a_few_short_texts_are_quick(loaded: Served, given: list[str]) -> None:
    assert isinstance(first(loaded, loaded.texts, given), Ticket)


@pytest.mark.parametrize("given", [["a joy"] * (MAX_BATCH + 1), ["a joy " * 700], ["a joy " * 350] * 2])
def test_many_texts_and_long_ones_are_not(loaded: Served, given: list[str]) -> None:
    assert first(loaded, loaded.texts, given) is LONG


def test_pictures_are_not(loaded: Served) -> None:
    assert first(loaded, loaded.images, [photos()["flower"]]) is LONG


@pytest.mark.parametrize(("texts", "long"), [(1, False), (MAX_BATCH, True)])
def test_a_large_answer_is_not(loaded: Served, large: str, texts: int, *, long: bool) -> None:
    """Every text with every label is sorted and written."""
    steps = judging.judge(loaded.service.services, partial(find, large), ["a joy"] * texts, Leaving("admin"))
    ticket = next(steps)
    assert isinstance(ticket, Ticket)
    done = threading.Event()
    ticket.then(done.set)
    assert done.wait(10)
    assert [*steps] == ([LONG] if long else [])


def test_a_model_that_must_be_loaded_first_is_not(loaded: Served) -> None:
    loaded.service.services.pool.drop(loaded.texts)
    assert first(loaded, loaded.texts, ["a joy"]) is LONG
    assert loaded.client.post("/predict", json={"model": loaded.texts, "inputs": "a joy"}).status_code == 200
    assert isinstance(first(loaded, loaded.texts, ["a joy"]), Ticket)
