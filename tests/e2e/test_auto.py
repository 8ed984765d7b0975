"""``strategy: auto`` between its two limits, through the real processes: what the features are worth decides."""

import io
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e import sets
from tests.e2e.service import Service

TRAINING = {"max_epochs": 2, "batch_size": "auto"}


@pytest.fixture(scope="module")
def between(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """An installation for which a few dozen examples are neither few nor many."""
    settings = {"FINETUNED_FREEZE_BELOW": "10", "FINETUNED_FULL_FROM": "1000"}
    service = Service(tmp_path_factory.mktemp("service"), **settings)
    try:
        yield service.start()
    finally:
        service.stop()


def archive(colour: Callable[[str, int], str]) -> bytes:
    """Two classes of 60 pictures with discs whose colour may tell the class."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as pictures:
        for label in ("홀", "짝"):
            for number in range(60):
                pictures.writestr(
                    f"{label}/{number:03}.jpg", sets.picture(colour(label, number), seed_of(label, number))
                )
    return buffer.getvalue()


def seed_of(label: str, number: int) -> int:
    """Another picture for each."""
    return number + (1_000 if label == "홀" else 0)


def run(service: Service, name: str, content: bytes, **body: Any) -> dict[str, Any]:
    dataset = service.upload(name, content, validation_fraction="0.4")
    job = service.finished(service.post_job(str(dataset["id"]), "plugin/tiny", **body))
    assert job["status"] == "succeeded", job["error"]
    return job


def decided(job: dict[str, Any], expected: str) -> float:
    """Checks what every decision shows; gives the probe's accuracy."""
    decision = job["decision"]
    assert decision["strategy"] == expected
    assert "72 training examples in 2 classes, between 10 and 1,000" in decision["reason"]
    assert decision["evidence"]["probed_examples"] == 72
    assert decision["evidence"]["validated_examples"] == 48
    assert {other["strategy"] for other in decision["alternatives"]} == {"freeze", "full", "gradual"} - {expected}
    return float(decision["evidence"]["probe_accuracy"])


@pytest.mark.slow
def test_features_that_do_not_tell_the_classes_are_trained(between: Service) -> None:
    job = run(between, "untold.zip", archive(lambda _, number: ("red", "blue")[number // 7 % 2]), training=TRAINING)
    assert decided(job, "full") < 0.75
    assert between.client.get(f"/models/{job['model']}").json()["freeze_proof"]["unchanged"] is False


def test_features_that_tell_the_classes_stay_frozen_and_everything_is_resolved(between: Service) -> None:
    training = {**TRAINING, "augmentation": "strong", "sampling": "balanced"}
    told = {"홀": "red", "짝": "blue"}
    job = run(between, "told.zip", archive(lambda label, _: told[label]), training=training)
    assert decided(job, "freeze") > 0.9
    assert between.client.get(f"/models/{job['model']}").json()["freeze_proof"]["unchanged"] is True
    resolved = job["config"]["training"]
    assert isinstance(resolved["batch_size"], int)
    assert resolved["precision"] == "32"
    assert (resolved["augmentation"], resolved["sampling"]) == ("strong", "balanced")
    log = [event["data"]["message"] for event in between.events(job["id"]) if event["type"] == "log"]
    assert any("without a cache" in line for line in log)
    assert any(line.startswith(f"batch_size auto: {resolved['batch_size']} (") for line in log)
    folder = between.data_dir / "store" / "tensorboard" / job["id"]
    assert [file.name.split(".")[0] for file in folder.iterdir()] == ["events"]
    assert between.client.delete(f"/jobs/{job['id']}").status_code == 204
    assert not folder.exists()
