"""``/checkpoints``, with files that plain torch and plain Lightning have written."""

import io
import os
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from torch import nn
from torchvision.models import shufflenet_v2_x0_5

from models_store import checkpoints
from tests.app.service import Running, assert_problem, job, ready_dataset
from tests.models_store.kept import renamed
from tests.models_store.lightning import LitAutoencoder, trained

SHUFFLENET = "torchvision/shufflenet_v2_x0_5"


class Canary:
    """Unpickling this makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def pickled(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def post(
    client: httpx.Client, content: bytes, architecture: str = SHUFFLENET, filename: str = "모델.ckpt", **fields: str
) -> httpx.Response:
    data = {"name": "나의 모델", "architecture": architecture, **fields}
    return client.post("/checkpoints", files={"file": (filename, content)}, data=data)


def twins() -> bytes:
    """A checkpoint of which two parts fit."""
    state = {**renamed(shufflenet_v2_x0_5(), "student"), **renamed(shufflenet_v2_x0_5(), "teacher")}
    return pickled({"state_dict": state, "epoch": 3})


def test_a_lightning_checkpoint_is_uploaded_shown_listed_and_deleted(
    service: Running, client: httpx.Client, tmp_path: Path
) -> None:
    content = trained(LitAutoencoder(), tmp_path, 16).read_bytes()
    answer = post(client, content, "plugin/autoencoder")
    assert answer.status_code == 201, answer.text
    shown = answer.json()
    assert answer.headers["location"] == f"/checkpoints/{shown['id']}"
    assert shown["id"].startswith("ckpt_")
    assert (shown["object"], shown["name"], shown["architecture"]) == ("checkpoint", "나의 모델", "plugin/autoencoder")
    assert shown["submodules"] == ["encoder", "decoder"]
    assert shown["fits"] == ["encoder", "decoder", ""]
    assert shown["default_submodule"] == ""
    file = checkpoints.directory(service.settings.store_dir, shown["id"]) / checkpoints.TENSORS
    assert shown["bytes"] == file.stat().st_size
    assert client.get(f"/checkpoints/{shown['id']}").json() == shown
    assert client.get("/checkpoints").json() == {"data": [shown], "has_more": False}
    assert list(service.settings.uploads_dir.iterdir()) == []
    assert client.delete(f"/checkpoints/{shown['id']}").status_code == 204
    assert_problem(client.get(f"/checkpoints/{shown['id']}"), 404, "checkpoint_not_found")
    assert not file.exists()


def test_a_malicious_checkpoint_is_refused_and_nothing_of_it_ran(
    service: Running, client: httpx.Client, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    state = renamed(shufflenet_v2_x0_5(), "model")
    content = pickled({"state_dict": state, "hyper_parameters": {"x": Canary(canary)}})
    assert_problem(post(client, content), 422, "unsafe_weights")
    assert not canary.exists()
    assert client.get("/checkpoints").json()["data"] == []
    assert list((service.settings.store_dir / "checkpoints").iterdir()) == []
    assert list(service.settings.uploads_dir.iterdir()) == []


@pytest.mark.parametrize(
    ("architecture", "code"),
    [
        ("torchvision/nope", "unknown_backbone"),
        ("plugin/nope", "unknown_backbone"),
        ("nope", "unknown_backbone"),
        (f"checkpoint/ckpt_{'0' * 26}", "architecture_expected"),
    ],
)
def test_the_architecture_must_be_one_that_is_known(architecture: str, code: str, client: httpx.Client) -> None:
    assert_problem(post(client, b"never opened", architecture), 422, code)


def test_a_checkpoint_that_fits_no_part_tells_the_closest(client: httpx.Client) -> None:
    content = pickled(renamed(nn.Linear(3, 3), "head"))
    problem = assert_problem(post(client, content), 422, "checkpoint_mismatch")
    assert "Its parts are head" in problem["detail"]


def test_a_file_of_another_kind_is_refused(client: httpx.Client) -> None:
    assert_problem(post(client, b"x", filename="w.exe"), 422, "unsupported_file")


def test_fields_are_checked(client: httpx.Client) -> None:
    assert_problem(post(client, b"x", owner="ben"), 422, "validation_error")
    files = {"file": ("w.ckpt", b"x")}
    assert_problem(client.post("/checkpoints", files=files, data={"name": "x"}), 422, "validation_error")


def test_somebody_elses_checkpoint_is_not_there(service: Running, client: httpx.Client) -> None:
    shown = post(client, twins()).json()
    with service.user("ben") as ben:
        dataset = ready_dataset(service, ben, task="image-classification")
        body = {"dataset": dataset, "backbone": f"checkpoint/{shown['id']}", "submodule": "teacher"}
        assert ben.get("/checkpoints").json()["data"] == []
        assert_problem(ben.get(f"/checkpoints/{shown['id']}"), 404, "checkpoint_not_found")
        assert_problem(ben.delete(f"/checkpoints/{shown['id']}"), 404, "checkpoint_not_found")
        assert_problem(ben.post("/jobs", json=body), 404, "checkpoint_not_found")


def test_a_job_resolves_the_part_and_keeps_the_checkpoint_from_being_deleted(
    service: Running, client: httpx.Client
) -> None:
    shown = post(client, twins()).json()
    assert shown["fits"] == ["student", "teacher"]
    assert shown["default_submodule"] is None
    backbone = f"checkpoint/{shown['id']}"
    dataset = ready_dataset(service, client, task="image-classification")
    body = {"dataset": dataset, "backbone": backbone}
    problem = assert_problem(client.post("/jobs", json=body), 422, "ambiguous_submodule")
    assert '"student", "teacher"' in problem["detail"]
    assert_problem(client.post("/jobs", json={**body, "submodule": "nope"}), 422, "unknown_submodule")
    queued = job(client, dataset, backbone=backbone, submodule="teacher")
    assert queued["config"]["submodule"] == "teacher"
    assert queued["config"]["weights"] == shown["id"]
    assert queued["name"] == "films-나의 모델"
    assert_problem(client.delete(f"/checkpoints/{shown['id']}"), 409, "checkpoint_in_use")
    client.post(f"/jobs/{queued['id']}/cancel")
    assert client.delete(f"/checkpoints/{shown['id']}").status_code == 204


def test_the_task_is_that_of_the_architecture(service: Running, client: httpx.Client) -> None:
    shown = post(client, pickled(shufflenet_v2_x0_5().state_dict())).json()
    body = {"dataset": ready_dataset(service, client), "backbone": f"checkpoint/{shown['id']}"}
    assert_problem(client.post("/jobs", json=body), 422, "task_mismatch")
