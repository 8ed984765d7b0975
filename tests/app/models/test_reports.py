"""Reports and evaluations as clients ask for them; the work itself is in tests/worker and tests/e2e."""

from typing import Any

import httpx
import pytest

from models_store import datasets, leases, registry
from models_store.reporting import stored
from tests.app.published import LABELS, TEXTS, publish
from tests.app.service import Example, Running, assert_problem, claimed, failed_dataset, ready_dataset, upload_texts

INSECTS: tuple[Example, ...] = (("train", "ants", "1", b"small and black"), ("validation", "bees", "2", b"it flies"))
BIN = {"from": 0.0, "to": 1.0, "count": 2, "confidence": 0.75, "accuracy": 0.5}


def figures(split: str) -> dict[str, Any]:
    one = {"label": "bees", "precision": 0.5, "recall": 1.0, "f1": 2 / 3, "support": 1}
    calibration = {
        "temperature": 1.5,
        "bins": 1,
        "method": "cross_fitted",
        **{f"{name}_{when}": 0.25 for name in ("ece", "loss") for when in ("before", "after")},
        **{f"reliability_{when}": [BIN] for when in ("before", "after")},
    }
    return {
        "split": split,
        "items": 2,
        "accuracy": 0.5,
        "loss": 0.7,
        "macro": {"precision": 0.5, "recall": 0.5, "f1": 0.5},
        "classes": [one],
        "confusion_matrix": [[0, 1], [0, 1]],
        "confusions": [{"label": "ants", "predicted": "bees", "count": 1}],
        "calibration": calibration,
        "mistakes": [
            {"item": "3", "name": "개미.jpg", "split": split, "label": "ants", "predicted": "bees", "score": 0.9}
        ],
    }


def report(model: str, split: str = "validation") -> dict[str, Any]:
    head = {"object": "report", "model": model, "dataset": "ds_1", "labels": ["ants", "bees"]}
    return {**head, **figures(split), "far_out": None, "splits": {"test": figures("test")}}


def insects(service: Running, client: httpx.Client) -> str:
    """A ready set whose labels the published models know."""
    dataset = ready_dataset(service, client, INSECTS)
    _label(service, dataset, ("ants", "bees"))
    return dataset


def _label(service: Running, dataset: str, labels: tuple[str, ...]) -> None:
    with service.database.write() as session:
        datasets.get(session, dataset, owner=None).classes = [{"label": label, "count": 1} for label in labels]


def evaluate(client: httpx.Client, model: str, dataset: str) -> httpx.Response:
    return client.post(f"/models/{model}/evaluate", json={"dataset": dataset})


def test_a_models_report_is_shown_as_it_was_stored(service: Running, client: httpx.Client) -> None:
    model = publish(service)
    stored.write(registry.directory(service.settings.store_dir, model), report(model))
    answer = client.get(f"/models/{model}/report")
    assert answer.status_code == 200, answer.text
    assert answer.json() == report(model)


def test_a_model_of_an_earlier_version_has_no_report(service: Running, client: httpx.Client) -> None:
    assert_problem(client.get(f"/models/{publish(service)}/report"), 404, "report_not_found")


def test_somebody_elses_model_has_neither_report_nor_evaluation(service: Running, client: httpx.Client) -> None:
    model, dataset = publish(service, kind=TEXTS), insects(service, client)
    with service.user("bob") as bob:
        assert_problem(bob.get(f"/models/{model}/report"), 404, "model_not_found")
        assert_problem(evaluate(bob, model, dataset), 404, "model_not_found")


def test_somebody_elses_data_set_is_not_evaluated_on(service: Running, client: httpx.Client) -> None:
    dataset = insects(service, client)
    with service.user("bob") as bob:
        model = publish(service, bob.headers["Authorization"].removeprefix("Bearer "), kind=TEXTS)
        assert_problem(evaluate(bob, model, dataset), 404, "dataset_not_found")


def test_an_evaluation_is_a_job_of_its_own_kind(service: Running, client: httpx.Client) -> None:
    model, dataset = publish(service, kind=TEXTS), insects(service, client)
    answer = evaluate(client, model, dataset)
    assert answer.status_code == 202, answer.text
    shown = answer.json()
    assert answer.headers["Location"] == f"/jobs/{shown['id']}"
    assert (shown["object"], shown["status"], shown["model"]) == ("evaluation.job", "queued", model)
    assert (shown["dataset"], shown["report"], shown["decision"]) == (dataset, None, None)
    assert client.get(f"/jobs/{shown['id']}").json() == shown
    assert shown in client.get("/jobs").json()["data"]
    assert_problem(client.get(f"/jobs/{shown['id']}/report"), 404, "report_not_found")
    assert_problem(client.delete(f"/datasets/{dataset}"), 409, "dataset_in_use")
    assert claimed(service, "light").job_id == shown["id"]


def test_an_evaluations_report_is_with_its_job_and_not_in_lists_or_events(
    service: Running, client: httpx.Client
) -> None:
    model, dataset = publish(service, kind=TEXTS), insects(service, client)
    job = evaluate(client, model, dataset).json()["id"]
    found = report(model, "all")
    leases.succeed(service.database, claimed(service, "light"), lambda _session: {"model": model, "report": found})
    assert client.get(f"/jobs/{job}").json()["report"] == found
    assert client.get(f"/jobs/{job}/report").json() == found
    assert [one["report"] for one in client.get("/jobs").json()["data"] if one["id"] == job] == [None]
    ended = client.get(f"/jobs/{job}/events").json()["data"][-1]
    assert ended["data"] == {"status": "succeeded", "model": model}


def test_a_fine_tuning_has_its_report_with_its_model(service: Running, client: httpx.Client) -> None:
    job = client.get(f"/models/{publish(service)}").json()["job"]
    shown = client.get(f"/jobs/{job}").json()
    assert (shown["object"], shown["report"]) == ("fine_tuning.job", None)
    told = assert_problem(client.get(f"/jobs/{job}/report"), 404, "report_not_found")
    assert "/models/" in told["detail"]


def test_an_evaluation_can_be_cancelled_and_retried(service: Running, client: httpx.Client) -> None:
    model, dataset = publish(service, kind=TEXTS), insects(service, client)
    first = evaluate(client, model, dataset).json()["id"]
    assert client.post(f"/jobs/{first}/cancel").json()["status"] == "cancelled"
    answer = client.post(f"/jobs/{first}/retry")
    assert answer.status_code == 202, answer.text
    second = answer.json()
    assert second["id"] != first
    assert (second["object"], second["model"], second["dataset"]) == ("evaluation.job", model, dataset)
    assert claimed(service, "light").job_id == second["id"]


def test_labels_that_the_model_does_not_know_are_listed(service: Running, client: httpx.Client) -> None:
    model, dataset = publish(service, kind=TEXTS), insects(service, client)
    _label(service, dataset, ("나비", LABELS[0], "거미"))
    told = assert_problem(evaluate(client, model, dataset), 422, "unknown_labels")
    assert "'나비', '거미'" in told["detail"]
    assert LABELS[0] not in told["detail"]


def test_a_set_of_another_task_is_refused(service: Running, client: httpx.Client) -> None:
    model, dataset = publish(service), insects(service, client)
    told = assert_problem(evaluate(client, model, dataset), 422, "task_mismatch")
    assert told["param"] == "dataset"


def test_a_set_whose_import_failed_is_refused(service: Running, client: httpx.Client) -> None:
    model, dataset = publish(service, kind=TEXTS), failed_dataset(service, client)
    assert_problem(evaluate(client, model, dataset), 409, "dataset_failed")


def test_a_set_that_is_still_imported_is_waited_for(service: Running, client: httpx.Client) -> None:
    model = publish(service, kind=TEXTS)
    dataset = upload_texts(client, name="films")
    job = evaluate(client, model, dataset).json()
    assert job["status"] == "queued"
    assert claimed(service, "light").kind == "import"
    assert leases.claim(service.database, "light", "test-worker") is None


@pytest.mark.parametrize("body", [{}, {"dataset": "ds_1", "split": "test"}, {"dataset": 7}])
def test_a_wrong_request_is_refused(service: Running, client: httpx.Client, body: dict[str, Any]) -> None:
    assert_problem(client.post(f"/models/{publish(service)}/evaluate", json=body), 422, "validation_error")
