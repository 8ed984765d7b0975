"""What is deleted is gone: not one byte of it is left in any file of an installation, whatever wrote it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from finetuned_test_plugins import Autoencoder
from safetensors.torch import save

from tests.e2e.service import Service, until
from tests.hostile.tenant import Tenant, tenant

_FREEZE = {"backbone": "plugin/words", "weights": None, "strategy": "freeze", "training": {"max_epochs": 2}}


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One whose files are nobody else's."""
    service = Service(tmp_path_factory.mktemp("deletion"))
    try:
        yield service.start()
    finally:
        service.stop()


@pytest.fixture
def ann(installation: Service, request: pytest.FixtureRequest) -> Iterator[Tenant]:
    """A user of this test's own."""
    with tenant(installation, f"ann-{request.node.name}") as made:
        yield made


def _told_by(installation: Service, canary: str) -> list[str]:
    """The files of the whole installation, logs and the broker's included, that hold these bytes."""
    files = [path for path in installation.folder.rglob("*") if path.is_file()]
    return sorted(str(path.relative_to(installation.folder)) for path in files if canary.encode() in _bytes(path))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:  # it went away meanwhile
        return b""


def _nowhere(installation: Service, canary: str) -> None:
    """A process that has just ended its part may still be about to remove it, or hold it against removal."""

    def gone() -> bool:
        installation.forget_copies()
        return not _told_by(installation, canary)

    until(gone, 10, f"{canary} is nowhere")


def _films(canary: str) -> bytes:
    """Texts in two classes, of which one is the canary's; the model will be wrong about it."""
    rows = [f"good film {number},praise" for number in range(8)] + [f"bad film {number},blame" for number in range(8)]
    return "\n".join(["text,label", *rows, f"good good good {canary},blame", ""]).encode()


def _trained(owner: Tenant, dataset: str, **more: Any) -> dict[str, Any]:
    answer = owner.client.post("/jobs", json={"dataset": dataset, **_FREEZE, **more})
    assert answer.status_code == 202, answer.text
    job = owner.ended(f"/jobs/{answer.json()['id']}", "succeeded", "failed")
    assert job["status"] == "succeeded", job["error"]
    return job


def _evaluated(owner: Tenant, model: str, dataset: str) -> str:
    answer = owner.client.post(f"/models/{model}/evaluate", json={"dataset": dataset})
    job = owner.ended(f"/jobs/{answer.json()['id']}", "succeeded", "failed")
    assert job["status"] == "succeeded", job["error"]
    return str(job["id"])


def _delete(owner: Tenant, *paths: str) -> None:
    for path in paths:
        answer = owner.client.delete(path)
        assert answer.status_code == 204, answer.text


@pytest.mark.slow
def test_of_a_deleted_data_set_no_item_is_left_though_a_model_was_trained_and_measured_on_it(
    installation: Service, ann: Tenant
) -> None:
    canary = "canary-of-an-item-1f9c"
    dataset = ann.imported("films.csv", _films(canary), validation_fraction="0.5")["id"]
    job = _trained(ann, dataset)
    evaluation = _evaluated(ann, job["model"], dataset)
    assert ann.client.post("/predict", json={"model": job["model"], "inputs": canary}).status_code == 200
    before = _told_by(installation, canary)
    assert any(file.startswith("data/store/datasets/") for file in before), before
    _delete(ann, f"/datasets/{dataset}")
    _nowhere(installation, canary)
    assert ann.client.get(f"/models/{job['model']}/report").json()["mistakes"] == []
    assert ann.client.get(f"/jobs/{evaluation}").json()["report"]["mistakes"] == []
    assert ann.client.post("/predict", json={"model": job["model"], "inputs": "good film"}).status_code == 200
    assert [path for path in (installation.data_dir / "store").glob("features/*/*") if path.is_dir()] == []


def test_of_a_deleted_upload_that_could_not_be_imported_nothing_is_left(installation: Service, ann: Tenant) -> None:
    canary = "canary-of-a-failed-import-77aa"
    content = f"text,label\n{canary},only\n".encode()
    failed = ann.imported("films.csv", content, name=canary)
    assert failed["status"] == "failed"
    assert _told_by(installation, canary)
    _delete(ann, f"/datasets/{failed['id']}")
    _nowhere(installation, canary)


def test_of_a_deleted_model_and_its_job_no_name_and_no_label_is_left(installation: Service, ann: Tenant) -> None:
    canary = "canary-of-a-label-c0de"
    dataset = ann.imported("films.csv", _films("word").replace(b"praise", canary.encode()))["id"]
    job = _trained(ann, dataset, name=canary, metadata={"note": canary})
    model = job["model"]
    assert ann.client.put(f"/models/{model}/aliases/production").status_code == 200
    before = _told_by(installation, canary)
    assert any(file.startswith(f"data/store/models/{model}/") for file in before), before
    _delete(ann, f"/models/{model}", f"/jobs/{job['id']}", f"/datasets/{dataset}")
    _nowhere(installation, canary)
    assert ann.client.post("/predict", json={"model": model, "inputs": "x"}).status_code == 404
    assert not (installation.data_dir / "store" / "models" / model).exists()


def test_of_a_deleted_checkpoint_no_value_is_left(installation: Service, ann: Tenant) -> None:
    canary = "canary-of-a-checkpoint-beef"
    state = {name: tensor.clone() for name, tensor in Autoencoder().state_dict().items()}
    written = torch.frombuffer(bytearray(canary.encode().ljust(40)), dtype=torch.float32)
    state["encoder.1.weight"].view(-1)[: len(written)] = written
    fields = {"name": canary, "architecture": "plugin/autoencoder"}
    answer = ann.client.post("/checkpoints", files={"file": ("a.safetensors", save(state))}, data=fields)
    assert answer.status_code == 201, answer.text
    before = _told_by(installation, canary)
    assert f"data/store/checkpoints/{answer.json()['id']}/tensors.safetensors" in before
    _delete(ann, f"/checkpoints/{answer.json()['id']}")
    _nowhere(installation, canary)


def test_what_another_one_has_as_well_stays_for_that_one_and_goes_with_it(installation: Service, ann: Tenant) -> None:
    canary = "canary-of-two-owners-5eed"
    with tenant(installation, "bob") as bob:
        hers, his = (owner.imported("films.csv", _films(canary))["id"] for owner in (ann, bob))
        _delete(ann, f"/datasets/{hers}")
        assert ann.client.get(f"/datasets/{hers}/items").status_code == 404
        texts = [item["text"] for item in bob.client.get(f"/datasets/{his}/items").json()["data"]]
        assert any(canary in text for text in texts)
        _delete(bob, f"/datasets/{his}")
    _nowhere(installation, canary)


@pytest.mark.slow
def test_a_backbone_goes_with_the_last_model_that_stands_on_it(installation: Service, ann: Tenant) -> None:
    trunks = installation.data_dir / "store" / "trunks"
    dataset = ann.imported("films.csv", _films("word"))["id"]
    there = set(trunks.iterdir()) if trunks.is_dir() else set()
    tuned = _trained(ann, dataset, strategy="full")
    (own,) = set(trunks.iterdir()) - there
    _delete(ann, f"/models/{tuned['model']}")
    until(lambda: not own.exists(), 30, "the trunk of the only model is gone")
