"""Predictions while models come and go, and while clients leave (rows 31 and 33).

Variants of one trained model are published as a worker publishes: a complete folder first, then the row. The logits of
a variant are a known multiple of the trained model's, so that every answer tells which model gave it.
"""

import base64
import shutil
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx
import pytest
from safetensors.torch import load_file, save_file

from models_store import ids, registry
from models_store.database.engine import Database
from models_store.database.tables import ModelRow
from models_store.registry import NewModel
from tests.e2e import sets
from tests.e2e.service import KEY, Service, until

PLACES = 16
ONE_OWNERS = 12
"""Of these, how many one owner may have."""
WAVES = 3
CLIENTS = 4
PICTURES = [base64.b64encode(sets.picture("red", number)).decode() for number in range(3)]
MANY_PICTURES = PICTURES * 5


class Served:
    """A service with one trained model, kept in memory one at a time, so that models are loaded again and again."""

    def __init__(self, service: Service, model: str) -> None:
        self.service, self.model = service, model
        self.database = Database(service.database_url)
        self.factors = {model: 1.0}
        self._reference = self.predict(model).json()["predictions"]

    def predict(self, model: str, inputs: list[str] = PICTURES) -> httpx.Response:
        """Ask for logits."""
        body = {"model": model, "inputs": inputs, "parameters": {"logits": True}}
        return self.service.client.post("/predict", json=body)

    def delete(self, model: str) -> httpx.Response:
        """Delete a model."""
        return self.service.client.delete(f"/models/{model}")

    def publish(self, factor: float) -> str:
        """Publish the next version: a variant whose logits are ``factor`` times those of the trained model."""
        store, model = self.service.data_dir / "store", ids.new("mdl")
        self.factors[model] = factor
        shutil.copytree(registry.directory(store, self.model), registry.directory(store, model))
        head = registry.directory(store, model) / "head.safetensors"
        save_file({name: tensor * factor for name, tensor in load_file(head).items()}, head)
        copied = ("owner", "name", "dataset_id", "task", "backbone", "trunk", "card", "bytes")
        with self.database.write() as session:
            source = session.get_one(ModelRow, self.model)
            values: dict[str, Any] = {name: getattr(source, name) for name in copied}
            registry.publish(session, NewModel(id=model, job_id=f"job_of_{model}", **values))
        return model

    def check(self, asked: str, answer: httpx.Response) -> None:
        """An answer is the asked model's own in every logit, or says that the model is not there."""
        assert answer.status_code in {200, 404}, answer.text
        if answer.status_code == 404:
            assert answer.json()["code"] == "model_not_found"
            return
        shown = answer.json()
        assert shown["model"] == asked
        for given, reference in zip(shown["predictions"], self._reference, strict=True):
            expected = [self.factors[asked] * logit for logit in reference["logits"]]
            assert given["logits"] == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    options = {"FINETUNED_MAX_LOADED_MODELS": "1", "FINETUNED_MAX_WAITING_PREDICTIONS": str(PLACES)}
    service = Service(tmp_path_factory.mktemp("served"), **options)
    try:
        service.start()
        dataset = service.upload("pictures.zip", sets.picture_zip(6))["id"]
        job = service.finished(
            service.post_job(dataset, "torchvision/squeezenet1_1", weights=None, training={"max_epochs": 1})
        )
        assert job["status"] == "succeeded", job["error"]
        service.end("worker")
        served = Served(service, job["model"])
        yield served
        served.database.close()
    finally:
        service.stop()


@pytest.mark.slow
def test_while_models_are_published_and_deleted_every_answer_is_of_the_model_that_was_asked(served: Served) -> None:
    answers: list[tuple[str, httpx.Response]] = []
    stop = threading.Event()

    def ask_the_newest() -> None:
        while not stop.is_set():
            newest = served.service.client.get("/models", params={"limit": 1}).json()["data"][0]["id"]
            answers.append((newest, served.predict(newest)))

    with ThreadPoolExecutor(4) as threads:
        asking = [threads.submit(ask_the_newest) for _ in range(4)]
        try:
            for factor in range(2, 10):
                model = served.publish(factor)
                until(partial(_answered, answers, model), 60, f"{model} answers")
                assert served.delete(model).status_code == 204
                assert served.predict(model).status_code == 404
        finally:
            stop.set()
        for one in asking:
            one.result()
    for asked, answer in answers:
        served.check(asked, answer)


def _answered(answers: list[tuple[str, httpx.Response]], model: str) -> bool:
    return any(asked == model and answer.status_code == 200 for asked, answer in answers)


@pytest.mark.slow
def test_a_model_that_is_deleted_while_it_is_loaded_answers_or_is_not_found(served: Served) -> None:
    for factor in range(10, 25):
        model = served.publish(factor)
        together = threading.Barrier(4)

        def at_once(call: Callable[[str], httpx.Response], model: str, together: threading.Barrier) -> httpx.Response:
            together.wait()
            return call(model)

        with ThreadPoolExecutor(4) as threads:
            asked = [threads.submit(at_once, served.predict, model, together) for _ in range(3)]
            assert threads.submit(at_once, served.delete, model, together).result().status_code == 204
            for one in asked:
                served.check(model, one.result())


def _request(served: Served, share: float) -> socket.socket:
    """A prediction request of which a share of the body was sent."""
    host, port = served.service.url.removeprefix("http://").split(":")
    body = httpx.Request("POST", "http://x", json={"model": served.model, "inputs": MANY_PICTURES}).content
    head = (
        f"POST /predict HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    connection = socket.create_connection((host, int(port)))
    connection.sendall(head.encode() + body[: int(len(body) * share)])
    return connection


def _reset(connection: socket.socket) -> None:
    """Leave without a farewell."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_the_others_are_answered_when_clients_leave_in_the_middle_of_their_prediction(
    served: Served, share: float
) -> None:
    with ThreadPoolExecutor(PLACES) as threads:
        for _ in range(WAVES):  # too few to fill all places, whatever those who left still hold
            leaving = [_request(served, share) for _ in range(CLIENTS)]
            staying = [threads.submit(served.predict, served.model) for _ in range(CLIENTS)]
            for connection in leaving:
                _reset(connection)
            for one in staying:
                assert one.result().status_code == 200
                served.check(served.model, one.result())

        def all_places_are_free() -> bool:
            asked = [threads.submit(served.predict, served.model, MANY_PICTURES) for _ in range(ONE_OWNERS)]
            return {one.result().status_code for one in asked} == {200}

        until(all_places_are_free, 60, "no place stays taken")
