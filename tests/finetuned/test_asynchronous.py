"""The awaited client: the same methods, in an event loop that goes on meanwhile."""

import asyncio
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

from finetuned import ApiError, AsyncClient, Client
from tests.finetuned.stub import Mishap, Stub, serving


@pytest.fixture
def stub() -> Iterator[Stub]:
    with serving() as stub:
        yield stub


def test_a_job_is_made_waited_for_and_its_model_asked(stub: Stub) -> None:
    stub.job["model"] = "mdl_1"

    async def work() -> list[str | None]:
        async with AsyncClient(stub.url, "ft_key") as client:
            job = await (await client.train("ds_1", "hf/x", max_epochs=2)).wait()
            assert job.status == "succeeded"
            return [prediction.label for prediction in await job.model.predict(["a text", "another"])]

    assert asyncio.run(work()) == ["good", "good"]
    assert stub.bodies[0] == {"dataset": "ds_1", "backbone": "hf/x", "training": {"max_epochs": 2}}


def test_a_list_is_followed_to_its_end_and_no_further_than_wanted(stub: Stub) -> None:
    async def work() -> None:
        async with AsyncClient(stub.url, "ft_key") as client:
            assert len([job.id async for job in client.jobs()]) == 250
            async for job in client.jobs():
                assert job.id == "job_0"
                break

    asyncio.run(work())
    assert stub.pages == [None, "job_99", "job_199", None]


def test_what_may_be_repeated_is(stub: Stub) -> None:
    stub.mishaps = [Mishap(0), Mishap(503, "0")]

    async def work() -> str:
        async with AsyncClient(stub.url, "ft_key") as client:
            await client.healthz()
            return (await client.create_job(dataset="ds_1", backbone="hf/x")).id

    stub.mishaps = [Mishap(200), *stub.mishaps]
    assert asyncio.run(work()) == "job_1"


def test_refusals_are_the_same(stub: Stub) -> None:
    async def work() -> None:
        async with AsyncClient(stub.url, "ft_key") as client:
            await client.job("job_2")

    with pytest.raises(ApiError, match="not_found"):
        asyncio.run(work())


def test_events_and_calls_run_beside_each_other(stub: Stub) -> None:
    stub.events = [[{"id": 1, "type": "status", "data": {"status": "running"}}], [_END]]

    async def work() -> list[int]:
        async with AsyncClient(stub.url, "ft_key") as client:
            job = await client.job("job_1")

            async def seen() -> list[int]:
                return [event.id async for event in job.events()]

            waiting = asyncio.create_task(job.wait())
            ids = await seen()
            assert (await waiting).status == "succeeded"
            return ids

    assert asyncio.run(work()) == [1, 2]


_END = {"id": 2, "type": "status", "data": {"status": "succeeded"}}


def test_a_download_appears_whole(stub: Stub, tmp_path: Path) -> None:
    async def work() -> Path:
        async with AsyncClient(stub.url, "ft_key") as client:
            return await client.download("mdl_1", tmp_path)

    assert asyncio.run(work()).read_text() == "the first half, the second half"
    assert len(list(tmp_path.iterdir())) == 1


def test_both_clients_have_the_same_methods() -> None:
    own = {"__enter__", "__exit__", "__aenter__", "__aexit__", "close", "aclose"}

    assert set(dir(Client)) - own == set(dir(AsyncClient)) - own
    assert inspect.signature(Client.__init__) == inspect.signature(AsyncClient.__init__)
