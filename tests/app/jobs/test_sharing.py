"""Priorities and needs as clients give them and see them."""

import httpx
import pytest

from models_store import stranded, workers
from tests.app.service import Running, assert_problem, claimed, job, ready_dataset


def test_a_job_shows_its_priority_and_what_it_requires(service: Running, client: httpx.Client) -> None:
    shown = job(client, ready_dataset(service, client), priority=3, requires=["memory>=32g", "a100"])
    assert (shown["priority"], shown["requires"]) == (3, ["a100", "memory>=32g"])


def test_a_job_for_a_gpu_requires_one(service: Running, client: httpx.Client) -> None:
    shown = job(client, ready_dataset(service, client), training={"accelerator": "gpu"})
    assert shown["requires"] == shown["config"]["requires"] == ["gpu"]


def test_only_an_admin_may_go_before_everybody(service: Running) -> None:
    with service.user("ann") as ann:
        dataset = ready_dataset(service, ann)
        body = {"dataset": dataset, "backbone": "hf/tests/none", "priority": 1}
        assert assert_problem(ann.post("/jobs", json=body), 403, "priority_for_admins")["param"] == "priority"
        assert job(ann, dataset, priority=-10)["priority"] == -10


def test_a_higher_priority_is_claimed_first(service: Running, client: httpx.Client) -> None:
    dataset = ready_dataset(service, client)
    job(client, dataset)
    urgent = job(client, dataset, priority=1)["id"]
    assert claimed(service).job_id == urgent


@pytest.mark.parametrize(
    "more",
    [{"priority": 11}, {"priority": -11}, {"requires": ["GPU"]}, {"requires": ["memory=3"]}, {"requires": ["a"] * 9}],
)
def test_what_is_no_priority_or_no_need_is_refused(
    more: dict[str, object], service: Running, client: httpx.Client
) -> None:
    body = {"dataset": ready_dataset(service, client), "backbone": "hf/tests/none", **more}
    assert_problem(client.post("/jobs", json=body), 422, "validation_error")


def test_a_job_that_no_worker_can_run_says_so(service: Running, client: httpx.Client) -> None:
    workers.seen(service.database, workers.Seen("w1", "training", "cpu", {"cpu": 0}))
    waiting = job(client, ready_dataset(service, client), requires=["tpu"])["id"]
    stranded.tell(service.database)
    assert "(tpu)" in client.get(f"/jobs/{waiting}").json()["progress"]["message"]
    assert [worker["labels"] for worker in client.get("/workers").json()["data"]] == [["cpu"]]
