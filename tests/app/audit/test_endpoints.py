"""Who did what, as an admin reads it."""

from typing import Any

import httpx
import pytest
from finetuned_test_plugins import Tiny
from safetensors.torch import save

from tests.app.service import Running, assert_problem, upload_texts
from tests.e2e.weights import efficientnet_lite0


def _entries(client: httpx.Client, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/audit", params=query).json()["data"]
    return found


def test_a_deed_is_told_with_the_key_and_the_request_that_it_came_by(service: Running, client: httpx.Client) -> None:
    made = client.post("/keys", json={"owner": "ann", "role": "user"}).json()
    with service.client(made["key"]) as ann:
        dataset = upload_texts(ann)
        job = ann.post("/jobs", json={"dataset": dataset, "backbone": "hf/tests/none"}).json()["id"]
        answer = ann.post(f"/jobs/{job}/cancel", headers={"X-Request-ID": "mine-1"})
    assert answer.status_code == 202
    (entry,) = _entries(client, action="job.cancelled")
    assert entry.pop("id").startswith("aud_")
    assert entry.pop("created_at").endswith("Z")
    assert entry == {
        "actor": "ann",
        "role": "user",
        "key": made["id"],
        "action": "job.cancelled",
        "object": job,
        "owner": "ann",
        "request_id": "mine-1",
    }


def test_an_admins_deed_on_somebody_elses_object_names_both(service: Running, client: httpx.Client) -> None:
    with service.user("ann") as ann:
        dataset = upload_texts(ann)
        job = ann.post("/jobs", json={"dataset": dataset, "backbone": "hf/tests/none"}).json()["id"]
    client.post(f"/jobs/{job}/cancel")
    (entry,) = _entries(client, owner="ann", action="job.cancelled")
    assert (entry["actor"], entry["role"], entry["owner"]) == ("admin", "admin", "ann")


def test_the_first_key_is_the_services_own_deed(client: httpx.Client) -> None:
    (entry,) = _entries(client)
    assert (entry["actor"], entry["role"], entry["action"]) == ("finetuned", "service", "key.created")


def test_deleting_a_checkpoint_is_told(client: httpx.Client) -> None:
    file = ("a.safetensors", save(dict(Tiny().state_dict())))
    made = client.post("/checkpoints", files={"file": file}, data={"name": "a", "architecture": "plugin/tiny"})
    assert made.status_code == 201, made.text
    client.delete(f"/checkpoints/{made.json()['id']}")
    assert [entry["action"] for entry in _entries(client)][:1] == ["checkpoint.deleted"]


def test_changes_of_the_mirror_are_told_by_name(client: httpx.Client) -> None:
    names = {"backbone": "timm/tf_efficientnet_lite0", "weights": "in1k"}
    client.post("/weights", files={"file": ("w.pth", efficientnet_lite0().read_bytes())}, data=names)
    client.delete("/weights", params=names)
    told = [(entry["action"], entry["object"]) for entry in _entries(client)[:2]]
    subject = "timm/tf_efficientnet_lite0:in1k"
    assert told == [("weights.removed", subject), ("weights.added", subject)]


@pytest.mark.parametrize("path", ["/keys/key_no", "/models/mdl_no", "/datasets/ds_no", "/jobs/job_no"])
def test_what_was_refused_is_not_told(path: str, client: httpx.Client) -> None:
    before = _entries(client)
    assert client.delete(path).status_code == 404
    assert _entries(client) == before


def test_nobody_changes_it_and_users_do_not_read_it(service: Running, client: httpx.Client) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert_problem(client.request(method, "/audit"), 405, "method_not_allowed")
    with service.user("ann") as ann:
        assert_problem(ann.get("/audit"), 403, "admin_only")
