import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from app.settings import AppSettings
from models_store import leases
from models_store.database.tables import Json
from tests.app.service import (
    Running,
    assert_problem,
    claimed,
    failed_dataset,
    job,
    ready_dataset,
    running,
    upload_texts,
)

BODY = {"backbone": "hf/tests/none"}


def _succeed(service: Running) -> None:
    leases.succeed(service.database, claimed(service), lambda _session: {"model": "mdl_1"})


def test_a_job_is_accepted_with_every_default_resolved(service: Running, client: httpx.Client) -> None:
    dataset = ready_dataset(service, client)
    answer = client.post("/jobs", json={"dataset": dataset, **BODY, "metadata": {"team": "x"}})
    assert answer.status_code == 202
    shown = answer.json()
    assert answer.headers["location"] == f"/jobs/{shown['id']}"
    config = shown.pop("config")
    assert (config["weights"], config["strategy"], config["training"]["max_epochs"]) == ("main", "auto", 10)
    assert config["training"]["early_stopping"] == {"monitor": "val_loss", "patience": 3}
    assert shown.pop("id").startswith("job_")
    assert shown.pop("created_at").endswith("Z")
    assert shown == {
        "object": "fine_tuning.job",
        "name": "films-none",
        "status": "queued",
        "dataset": dataset,
        "backbone": "hf/tests/none",
        "decision": None,
        "progress": None,
        "metrics": None,
        "best": None,
        "model": None,
        "report": None,
        "error": None,
        "priority": 0,
        "requires": [],
        "attempt": 0,
        "cancel_requested": False,
        "metadata": {"team": "x"},
        "started_at": None,
        "finished_at": None,
    }


def test_a_job_may_wait_for_its_data_set(client: httpx.Client) -> None:
    assert job(client, upload_texts(client))["status"] == "queued"


def test_an_unknown_data_set_is_told_so(client: httpx.Client) -> None:
    content = assert_problem(client.post("/jobs", json={"dataset": "ds_no", **BODY}), 404, "dataset_not_found")
    assert content["param"] == "dataset"


def test_a_failed_data_set_is_refused(service: Running, client: httpx.Client) -> None:
    answer = client.post("/jobs", json={"dataset": failed_dataset(service, client), **BODY})
    assert_problem(answer, 409, "dataset_failed")


@pytest.mark.parametrize("backbone", ["resnet50", "torchvision/resnet5000", "nope/x", "timm/", "", "hf/../x"])
def test_an_unknown_backbone_is_told_so(client: httpx.Client, backbone: str) -> None:
    answer = client.post("/jobs", json={"dataset": upload_texts(client), "backbone": backbone})
    assert assert_problem(answer, 422, "unknown_backbone")["param"] == "backbone"


def test_unknown_weights_are_told_so(client: httpx.Client) -> None:
    body = {"dataset": upload_texts(client), "backbone": "torchvision/resnet18", "weights": "NOPE"}
    assert assert_problem(client.post("/jobs", json=body), 422, "unknown_weights")["param"] == "weights"


def test_a_backbone_for_another_task_is_refused(service: Running, client: httpx.Client) -> None:
    body = {"dataset": ready_dataset(service, client), "backbone": "torchvision/resnet18"}
    assert_problem(client.post("/jobs", json=body), 422, "task_mismatch")


@pytest.mark.parametrize(
    "more", [{"status": "succeeded"}, {"owner": "bob"}, {"training": {"x": 1}}, {"metadata": {"k": 1}}, {"attempt": 5}]
)
def test_what_is_no_field_of_a_request_is_refused(client: httpx.Client, more: dict[str, Any]) -> None:
    answer = client.post("/jobs", json={"dataset": upload_texts(client), **BODY, **more})
    assert_problem(answer, 422, "validation_error")


def test_another_owners_data_set_does_not_exist_for_a_job(service: Running) -> None:
    with service.user("ann") as ann, service.user("bob") as bob:
        answer = bob.post("/jobs", json={"dataset": upload_texts(ann), **BODY})
    assert_problem(answer, 404, "dataset_not_found")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/cancel"),
        ("POST", "/retry"),
        ("GET", "/events"),
        ("GET", "/metrics"),
    ],
)
def test_another_owners_job_does_not_exist(service: Running, method: str, path: str) -> None:
    with service.user("ann") as ann, service.user("bob") as bob:
        job_id = job(ann, upload_texts(ann))["id"]
        assert_problem(bob.request(method, f"/jobs/{job_id}{path}"), 404, "job_not_found")
        stream = bob.get(f"/jobs/{job_id}/events", headers={"Accept": "text/event-stream"})
        assert_problem(stream, 404, "job_not_found")
        assert bob.get("/jobs").json()["data"] == []
        assert ann.get(f"/jobs/{job_id}").json()["status"] == "queued"


def test_imports_are_not_shown_as_jobs(client: httpx.Client) -> None:
    upload_texts(client)
    assert client.get("/jobs").json()["data"] == []


def test_jobs_are_listed_by_status_and_data_set(service: Running, client: httpx.Client) -> None:
    first, second = ready_dataset(service, client), ready_dataset(service, client)
    made = [job(client, dataset)["id"] for dataset in (first, second, second)]
    client.post(f"/jobs/{made[2]}/cancel")

    def listed(**query: str) -> list[str]:
        return [item["id"] for item in client.get("/jobs", params=query).json()["data"]]

    assert listed() == made[::-1]
    assert listed(dataset=second) == [made[2], made[1]]
    assert listed(status="cancelled") == [made[2]]
    assert listed(status="queued", dataset=first) == [made[0]]


def test_a_queued_job_is_cancelled_at_once(client: httpx.Client) -> None:
    job_id = job(client, upload_texts(client))["id"]
    answer = client.post(f"/jobs/{job_id}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")
    assert_problem(client.post(f"/jobs/{job_id}/cancel"), 409, "job_ended")


def test_a_running_job_is_asked_to_stop(service: Running, client: httpx.Client) -> None:
    job_id = job(client, ready_dataset(service, client))["id"]
    claimed(service)
    shown = client.post(f"/jobs/{job_id}/cancel").json()
    assert (shown["status"], shown["cancel_requested"]) == ("running", True)


def test_only_ended_jobs_can_be_deleted(client: httpx.Client) -> None:
    job_id = job(client, upload_texts(client))["id"]
    assert_problem(client.delete(f"/jobs/{job_id}"), 409, "job_active")
    client.post(f"/jobs/{job_id}/cancel")
    assert client.delete(f"/jobs/{job_id}").status_code == 204
    assert_problem(client.get(f"/jobs/{job_id}"), 404, "job_not_found")


def test_a_retry_is_a_new_job_with_the_same_request(service: Running, client: httpx.Client) -> None:
    asked = {"name": "n", "metadata": {"a": "b"}, "training": {"max_epochs": 2}, "weights": None}
    first = job(client, ready_dataset(service, client), **asked)
    answer = client.post(f"/jobs/{first['id']}/retry")
    assert answer.status_code == 202
    again = answer.json()
    assert again["id"] != first["id"]
    assert answer.headers["location"] == f"/jobs/{again['id']}"
    assert (again["config"], again["metadata"], again["name"]) == (first["config"], {"a": "b"}, "n")


def test_an_admins_retry_stays_its_owners_job(service: Running, client: httpx.Client) -> None:
    with service.user("ann") as ann:
        job_id = job(ann, upload_texts(ann))["id"]
        again = client.post(f"/jobs/{job_id}/retry").json()["id"]
        assert ann.get(f"/jobs/{again}").status_code == 200


def test_the_metrics_of_every_epoch_are_shown(service: Running, client: httpx.Client) -> None:
    job_id = job(client, ready_dataset(service, client))["id"]
    claim = claimed(service)
    epochs: dict[int, Json] = {0: {"val_loss": 0.5, "odd": float("nan")}, 1: {"val_loss": 0.4, "lr": {"head": 0.001}}}
    leases.report_epochs(service.database, claim, epochs, current=epochs[1], best=epochs[1])
    shown = client.get(f"/jobs/{job_id}/metrics").json()
    assert [epoch["val_loss"] for epoch in shown["epochs"]] == [0.5, 0.4]
    assert shown["epochs"][0]["odd"] is None, "JSON has no NaN"


def test_a_finished_job_names_its_model(service: Running, client: httpx.Client) -> None:
    job_id = job(client, ready_dataset(service, client))["id"]
    _succeed(service)
    shown = client.get(f"/jobs/{job_id}").json()
    assert (shown["status"], shown["model"], shown["attempt"]) == ("succeeded", "mdl_1", 1)
    assert shown["finished_at"] >= shown["started_at"] >= shown["created_at"]


def test_a_get_can_wait_for_the_end(service: Running, client: httpx.Client) -> None:
    job_id = job(client, ready_dataset(service, client))["id"]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.get, f"/jobs/{job_id}", headers={"Prefer": "wait=20"})
        _succeed(service)
        assert waiting.result(10).json()["status"] == "succeeded"


def test_a_post_that_waits_answers_202_all_the_same(service: Running, client: httpx.Client) -> None:
    started = time.monotonic()
    body = {"dataset": ready_dataset(service, client), **BODY}
    answer = client.post("/jobs", json=body, headers={"Prefer": "wait=1"})
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert 0.9 < time.monotonic() - started < 10


def test_a_hundred_posts_with_one_key_make_one_job(service: Running, client: httpx.Client) -> None:
    body = {"dataset": ready_dataset(service, client), **BODY}

    def post(_number: int) -> tuple[int, str]:
        with service.client() as own:
            answer = own.post("/jobs", json=body, headers={"Idempotency-Key": "once"})
            return answer.status_code, answer.json().get("id", answer.text)

    with ThreadPoolExecutor(50) as pool:
        answers = set(pool.map(post, range(100)))
    assert len(answers) == 1, answers
    assert answers.pop()[0] == 202
    assert len(client.get("/jobs").json()["data"]) == 1


def test_the_same_key_with_another_body_is_refused(client: httpx.Client) -> None:
    dataset = upload_texts(client)
    key = {"Idempotency-Key": "k"}
    client.post("/jobs", json={"dataset": dataset, **BODY}, headers=key)
    answer = client.post("/jobs", json={"dataset": dataset, **BODY, "name": "other"}, headers=key)
    assert_problem(answer, 422, "idempotency_mismatch")


def test_keys_are_the_owners_own(service: Running) -> None:
    made = set()
    for owner in ("ann", "bob"):
        with service.user(owner) as client:
            body = {"dataset": upload_texts(client), **BODY}
            made.add(client.post("/jobs", json=body, headers={"Idempotency-Key": "k"}).json()["id"])
    assert len(made) == 2


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_an_idempotency_key_has_a_sane_length(client: httpx.Client, key: str) -> None:
    answer = client.post("/jobs", json={"dataset": "ds_1", **BODY}, headers={"Idempotency-Key": key})
    assert_problem(answer, 422, "validation_error")


def test_too_many_active_jobs_are_refused(settings: AppSettings) -> None:
    with running(settings.model_copy(update={"max_active_jobs": 3})) as service, service.client() as client:
        dataset = upload_texts(client)
        for _ in range(2):
            job(client, dataset)
        answer = client.post("/jobs", json={"dataset": dataset, **BODY})
        assert_problem(answer, 429, "too_many_jobs")
        assert int(answer.headers["retry-after"]) > 0
        with service.user("ann") as ann:
            upload_texts(ann)


def test_a_broker_that_is_down_does_not_delay_the_answer(settings: AppSettings) -> None:
    down = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    with running(down) as service, service.client() as client:
        started = time.monotonic()
        job(client, upload_texts(client))
        assert time.monotonic() - started < 2


def test_a_locked_database_is_a_503_that_says_when_to_come_back(service: Running, client: httpx.Client) -> None:
    body = {"dataset": upload_texts(client), **BODY}
    with service.database.write() as session:
        session.connection()  # the transaction begins here
        answer = client.post("/jobs", json=body)
    assert_problem(answer, 503, "database_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert client.post("/jobs", json=body).status_code == 202


@pytest.mark.parametrize("field", ["dataset", "name"])
def test_a_nul_that_no_database_takes_is_refused(client: httpx.Client, field: str) -> None:
    answer = client.post("/jobs", json={"dataset": "ds_1", **BODY, field: "a\0b"})
    assert_problem(answer, 422, "validation_error")
