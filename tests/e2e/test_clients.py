"""The clients against the real service: the whole way in an event loop, and over a restart of the API."""

import asyncio
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from finetuned import AsyncClient, Client
from tests.e2e import sets
from tests.e2e.conftest import LITE0, MINILM
from tests.e2e.service import KEY, Service, until


class Table:
    """A data frame, as far as the client looks at it."""

    columns = ("text", "label")

    def __getitem__(self, name: str) -> list[str]:
        kinds = {"good": "a fine and lovely film, number {}", "bad": "a dull and ugly film, number {}"}
        rows = [(text.format(number), label) for number in range(30) for label, text in kinds.items()]
        return [row[self.columns.index(name)] for row in rows]


@pytest.mark.slow
def test_a_table_becomes_a_model_in_an_event_loop(service: Service, tmp_path: Path) -> None:
    async def work() -> None:
        async with AsyncClient(service.url, KEY) as client:
            job = await client.train(Table(), MINILM, name="films", strategy="freeze", max_epochs=8, batch_size=8)

            async def seen() -> list[str]:
                return [event.type async for event in job.events()]

            types, ended = await asyncio.gather(seen(), job.wait(timeout=120))
            assert ended.status == "succeeded", ended.error
            assert {"status", "progress", "metrics"} <= set(types)

            good, nothing = await ended.model.predict(["a fine and lovely film", " "])
            assert good.label == "good"
            assert nothing.error is not None
            assert nothing.error.code == "empty_text"

            model = await (await ended.model.read()).promote("best")
            assert model.aliases == ["best"]
            splits = (await client.dataset(ended.dataset)).splits
            assert (await model.report()).items == splits["validation"]
            path = await model.download(tmp_path)
            assert path.stat().st_size > 1_000_000
            evaluation = await (await model.evaluate(ended.dataset)).wait(timeout=120)
            assert evaluation.report is not None
            assert evaluation.report.items == sum(splits.values()) == 60
            assert [one.name async for one in client.models()].count("films") == 1

    asyncio.run(work())


def test_a_pictures_pixels_and_its_file_are_judged_alike(service: Service, picture_model: str, tmp_path: Path) -> None:
    path = tmp_path / "red.jpg"
    path.write_bytes(sets.picture("red", 501))

    with Client(service.url, KEY) as client, Image.open(path) as picture:
        found = client.predict(picture_model, [path, path.read_bytes(), picture])

    scores = [prediction.score for prediction in found if prediction.score is not None]
    assert len(scores) == len(found)
    assert max(scores) - min(scores) < 1e-6  # they need not be of one batch
    assert found[0].label == "red"


@pytest.fixture
def api(make_service: Callable[..., Service]) -> Service:
    """An API without a worker: jobs stay queued."""
    service = make_service()
    service.start_broker()
    service.migrate()
    service.start_api()
    return service


@pytest.mark.slow
def test_a_restart_of_the_api_is_sat_out_by_uploads_jobs_and_events(api: Service, tmp_path: Path) -> None:
    (tmp_path / "pictures.zip").write_bytes(sets.picture_zip(4, ("blue", "red")))
    with Client(api.url, KEY, patience=180) as client, ThreadPoolExecutor() as threads:
        first = client.train(tmp_path / "pictures.zip", LITE0, weights=None, strategy="full")
        started, statuses = threading.Event(), []

        def follow() -> None:
            for event in client.follow_job(first.id):
                statuses.append(event.data.get("status"))
                started.set()

        following = threads.submit(follow)
        assert started.wait(20)
        api.end("api", signal.SIGKILL)
        posting = threads.submit(client.train, tmp_path / "pictures.zip", LITE0, weights=None, strategy="full")
        api.start_api()

        second = posting.result(180)
        assert {job.id for job in client.jobs()} == {first.id, second.id}
        assert len(list(client.datasets())) == 2
        client.cancel_job(first.id)
        following.result(180)
        assert statuses == ["queued", "cancelled"]


@pytest.mark.slow
def test_waiting_sits_out_a_restart_of_the_api(api: Service, tmp_path: Path) -> None:
    (tmp_path / "pictures.zip").write_bytes(sets.picture_zip(4, ("blue", "red")))
    with Client(api.url, KEY, patience=180) as client, ThreadPoolExecutor() as threads:
        job = client.train(tmp_path / "pictures.zip", LITE0, weights=None)
        seen: list[str] = []
        waiting = threads.submit(job.wait, lambda found: seen.append(found.status))
        until(lambda: seen, 20, "the first answer")
        api.end("api", signal.SIGKILL)
        api.start_api()
        job.cancel()

        assert waiting.result(180).status == "cancelled"
