import io

import httpx
import torch

from tests.app.service import Running, assert_problem
from tests.e2e.weights import efficientnet_lite0

LITE = "timm/tf_efficientnet_lite0"


def _add(client: httpx.Client, content: bytes, filename: str = "w.pth", **fields: str) -> httpx.Response:
    return client.post("/weights", files={"file": (filename, content)}, data={"backbone": LITE, **fields})


def test_weights_are_added_listed_and_removed(service: Running, client: httpx.Client) -> None:
    answer = _add(client, efficientnet_lite0().read_bytes())
    assert answer.status_code == 201, answer.text
    entry = answer.json()
    assert (entry["backbone"], entry["weights"]) == (LITE, "in1k"), "DEFAULT stands for a concrete name"
    assert client.get("/weights").json() == {"data": [entry], "has_more": False}
    shown = client.get("/backbones", params={"available": True, "search": "lite0"}).json()["data"]
    assert [(info["backbone"], info["available"]) for info in shown] == [(LITE, ["in1k"])]
    assert client.delete("/weights", params={"backbone": LITE}).status_code == 204
    assert client.get("/weights").json()["data"] == []
    assert_problem(client.delete("/weights", params={"backbone": LITE}), 404, "weights_not_found")
    assert list(service.settings.uploads_dir.iterdir()) == []


def test_a_file_of_another_kind_is_refused(client: httpx.Client) -> None:
    assert_problem(_add(client, b"x", "w.exe"), 422, "unsupported_file")


def test_a_file_that_holds_no_weights_is_refused(service: Running, client: httpx.Client) -> None:
    assert_problem(_add(client, b"x"), 422, "unsafe_weights")
    assert list(service.settings.uploads_dir.iterdir()) == []


def test_a_pickle_is_opened_under_the_limits_of_a_process_of_its_own(client: httpx.Client) -> None:
    buffer = io.BytesIO()
    torch.save({"weight": torch.zeros(1).expand(500_000_000)}, buffer)  # two gigabytes, were it unfolded
    problem = assert_problem(_add(client, buffer.getvalue()), 422, "unreadable_weights")
    assert "more memory or time" in problem["detail"]


def test_unknown_names_are_told_so(client: httpx.Client) -> None:
    assert_problem(_add(client, b"x", weights="NOPE"), 422, "unknown_weights")
    assert_problem(_add(client, b"x", backbone="timm/nope"), 422, "unknown_backbone")


def test_unknown_fields_are_refused(client: httpx.Client) -> None:
    assert_problem(_add(client, b"x", path="/etc/passwd"), 422, "validation_error")
