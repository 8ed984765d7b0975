"""``POST /jobs/preflight`` through the real processes: what a job would do, measured, without doing it."""

from collections.abc import Callable
from typing import Any

import pytest

from finetuned import ApiError, Client
from tests.e2e import sets
from tests.e2e.conftest import LITE0, PICTURES
from tests.e2e.service import KEY, Service, until


def measured(service: Service, body: dict[str, Any]) -> dict[str, Any]:
    """Ask until a worker is free and fast enough: the tests beside this one keep both busy."""

    def answer() -> dict[str, Any] | None:
        found = service.client.post("/jobs/preflight", json=body)
        assert found.status_code == 200, found.text
        return dict(found.json()) if found.json()["measurement"] else None

    return dict(until(answer, 240, "the job is measured"))


@pytest.fixture(scope="module")
def frozen(service: Service, pictures: str) -> dict[str, Any]:
    """What a small job on a pretrained backbone would take."""
    return measured(service, {"dataset": pictures, "backbone": LITE0, "training": PICTURES})


def test_a_free_worker_measures_what_an_epoch_takes(frozen: dict[str, Any]) -> None:
    found = frozen["measurement"]
    assert found["steps_per_epoch"] == 4  # 29 training items in batches of 8
    assert found["seconds_per_epoch"] == pytest.approx(4 * found["seconds_per_step"], rel=0.05, abs=0.002)
    assert found["eta_seconds"] >= found["features_seconds"] > 0
    assert found["peak_memory_bytes"] > 100 * 2**20


def test_it_shows_the_decision_and_every_default(frozen: dict[str, Any]) -> None:
    assert frozen["decision"]["strategy"] == "freeze"
    assert frozen["config"]["training"]["accelerator"] == "cpu"
    assert frozen["config"]["weights"] == "in1k"


def test_nothing_is_left_of_it(service: Service, pictures: str) -> None:
    def there() -> list[list[str]]:
        lists = (service.client.get(path, params={"limit": 100}).json()["data"] for path in ("/jobs", "/models"))
        return [[one["id"] for one in listed] for listed in lists]

    before = there()
    measured(service, {"dataset": pictures, "backbone": "plugin/tiny"})
    assert there() == before


def test_a_job_that_trains_everything_is_measured_by_its_own_steps(service: Service, pictures: str) -> None:
    body = {"dataset": pictures, "backbone": "plugin/tiny", "strategy": "full", "training": {"max_epochs": 3}}
    found = measured(service, body)["measurement"]
    assert found["features_seconds"] == 0
    assert found["largest_batch_size"] >= 8
    assert found["eta_seconds"] == pytest.approx(3 * found["seconds_per_epoch"], rel=0.05, abs=0.1)


def test_what_would_fail_is_told_with_the_jobs_own_code(service: Service, pictures: str) -> None:
    with Client(service.url, KEY) as client, pytest.raises(ApiError) as caught:
        client.preflight(dataset=pictures, backbone="torchvision/resnet18")
    assert (caught.value.status, caught.value.code) == (422, "weights_unavailable")


@pytest.mark.slow
def test_without_a_worker_the_decision_goes_by_size_and_nothing_is_measured(
    make_service: Callable[..., Service],
) -> None:
    service = make_service()
    service.start()
    dataset = service.upload("pictures.zip", sets.picture_zip(6, ("blue", "green")))["id"]
    service.end("worker")
    until(lambda: not service.client.get("/workers").json()["data"], 60, "the worker has said that it is gone")
    answer = service.client.post("/jobs/preflight", json={"dataset": dataset, "backbone": "plugin/tiny"}).json()
    assert answer["decision"]["strategy"] == "freeze"
    assert answer["measurement"] is None
    assert "No worker is free" in answer["note"]
