from pathlib import Path

import pytest
import torch
from finetuned_test_plugins import Tiny, Words

from models_store import leases, processors
from models_store.spec import JobSpec
from tests.worker.training.trainable import Trainable, trainable
from worker.attempt import CancelledByOwnerError, StoppedPolitelyError
from worker.training import fitting
from worker.training.features import PASS_BATCH
from worker.training.strategies import STRATEGIES

BETWEEN = {"freeze_below": 10, "full_from": 1_000}


class Counting(Tiny):
    """Counts the pictures that it has seen."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def misbehave(self, pixels: torch.Tensor) -> None:
        self.seen += len(pixels)


class Blind(Counting):
    """Gives the same features for every picture, whatever it shows."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """[N, 3, 32, 32] → [N, 16, 1, 1] without content."""
        return super().forward(pixels) * 0.0


def material(job: Trainable, spec: JobSpec, strategy: str) -> fitting.Material:
    return fitting.material(
        spec.training, job.data, job.network, STRATEGIES[strategy], job.preprocessing, job.extraction
    )


def test_a_small_set_is_probed_on_the_features_that_it_trains_on(tmp_path: Path) -> None:
    backbone = Counting()
    job = trainable(tmp_path, module=backbone)
    spec, decision = job.settle()
    assert decision["strategy"] == "freeze"
    assert 0.7 < decision["evidence"]["probe_accuracy"] <= 1
    assert "a linear probe on its features reaches" in decision["reason"]
    assert backbone.seen == 24 + 12
    assert material(job, spec, "freeze").cached
    assert backbone.seen == 24 + 12


@pytest.mark.parametrize(("module", "expected"), [(Counting, "freeze"), (Blind, "full")])
def test_between_the_limits_what_the_features_are_worth_decides(
    tmp_path: Path, module: type[Counting], expected: str
) -> None:
    backbone = module()
    job = trainable(tmp_path, module=backbone, per_class=(40, 40), validation=30, settings=BETWEEN)
    _, decision = job.settle()
    assert decision["strategy"] == expected
    assert decision["evidence"]["majority"] == 0.5
    assert backbone.seen == 80 + 60
    assert {other["strategy"] for other in decision["alternatives"]} == {"freeze", "full", "gradual"} - {expected}


def test_a_large_set_is_not_probed_and_the_decision_says_so(tmp_path: Path) -> None:
    backbone = Counting()
    job = trainable(tmp_path, module=backbone, settings={"freeze_below": 2, "full_from": 3})
    _, decision = job.settle()
    assert decision["strategy"] == "full"
    assert "without a probe" in decision["reason"]
    assert decision["evidence"]["probe_accuracy"] is None
    assert backbone.seen == 0


def test_lora_is_an_alternative_for_texts(tmp_path: Path) -> None:
    _, decision = trainable(tmp_path, module=Words()).settle()
    assert [other["strategy"] for other in decision["alternatives"]] == ["full", "gradual", "lora"]


def test_what_an_earlier_attempt_decided_stays(tmp_path: Path) -> None:
    job = trainable(tmp_path, training={"batch_size": "auto"})
    spec, decision = job.settle()
    before = job.log()
    blind = Blind()
    again = job.again(blind)
    assert again.settle() == (spec, decision)
    assert blind.seen == 0
    assert again.log() == before


def test_the_decision_and_the_resolved_config_are_shown_in_the_job(tmp_path: Path) -> None:
    job = trainable(tmp_path)
    spec, decision = job.settle()
    row = job.attempt.row()
    assert row.decision == decision
    assert row.config == spec.model_dump(mode="json")
    assert "auto" not in str(row.config["training"])


def test_the_features_of_an_item_are_the_same_to_the_bit_whether_there_was_a_probe_or_not(tmp_path: Path) -> None:
    asked = trainable(tmp_path / "asked", module=Words(), per_class=(30, 21), strategy="freeze")
    probed = trainable(tmp_path / "probed", module=asked.network.backbone, per_class=(30, 21))
    found = [material(job, job.settle()[0], "freeze").features for job in (asked, probed)]
    for split, other in found[0].items():
        assert torch.equal(other.features, found[1][split].features)
        assert not torch.equal(other.features, torch.zeros_like(other.features))


@pytest.mark.parametrize("stop", ["cancel", "polite"])
def test_a_job_can_be_stopped_while_evidence_is_collected(tmp_path: Path, stop: str) -> None:
    class Stopping(Counting):
        def misbehave(self, pixels: torch.Tensor) -> None:
            super().misbehave(pixels)
            job.attempt.cancel_requested = stop == "cancel"
            job.attempt.stop_requested = stop == "polite"

    backbone = Stopping()
    job = trainable(tmp_path, module=backbone, per_class=(60, 60), settings=BETWEEN)
    with pytest.raises(CancelledByOwnerError if stop == "cancel" else StoppedPolitelyError):
        job.settle()
    assert backbone.seen == PASS_BATCH
    assert job.attempt.row().decision is None


def test_the_network_is_as_before_once_evidence_is_collected(tmp_path: Path) -> None:
    job = trainable(tmp_path, settings=BETWEEN)
    before = {name: tensor.clone() for name, tensor in job.network.state_dict().items()}
    random = torch.get_rng_state()
    job.settle()
    assert job.network.training
    assert job.network.backbone.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in job.network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)


@pytest.mark.parametrize(("strategy", "expected"), [("freeze", 16), ("full", 16)])
def test_batch_size_auto_becomes_a_number_and_the_history_tells_why(
    tmp_path: Path, strategy: str, expected: int
) -> None:
    job = trainable(tmp_path, per_class=(90, 90), strategy=strategy, training={"batch_size": "auto"})
    spec, _ = job.settle()
    assert spec.training.batch_size == expected
    (line,) = [line for line in job.log() if line.startswith("batch_size auto")]
    assert line.startswith(f"batch_size auto: {expected} (")


def test_augmented_frozen_jobs_say_that_they_compute_without_a_cache(tmp_path: Path) -> None:
    backbone = Counting()
    job = trainable(tmp_path, module=backbone, training={"augmentation": "light"})
    spec, decision = job.settle()
    assert decision["strategy"] == "freeze"
    assert any("without a cache" in line for line in job.log())
    made = material(job, spec, "freeze")
    assert not made.cached
    assert made.model is job.network
    assert backbone.seen == 0


@pytest.mark.parametrize(("epochs", "measured"), [(1, False), (100, True)])
def test_precision_is_measured_where_the_training_is_long_enough_and_told_with_both_figures(
    tmp_path: Path, epochs: int, measured: bool
) -> None:
    job = trainable(tmp_path, strategy="full", training={"max_epochs": epochs, "batch_size": 8})
    spec, _ = job.settle()
    lines = [line for line in job.log() if line.startswith("precision auto")]
    assert len(lines) == (measured and processors.has_bfloat16())
    assert spec.training.precision in ({"32", "bf16-mixed"} if measured else {"32"})
    for line in lines:
        assert "in bf16-mixed and" in line
        assert "the losses are" in line


def test_equal_jobs_choose_the_same_precision_without_measuring_again(tmp_path: Path) -> None:
    job = trainable(tmp_path, strategy="full", training={"max_epochs": 100, "batch_size": 8})
    first, _ = job.settle()
    leases.write(job.attempt.database, job.attempt.claim, decision=None, config=job.spec.model_dump(mode="json"))
    backbone = Counting()
    second, _ = job.again(backbone).settle()
    assert first == second
    assert backbone.seen == 0


@pytest.mark.parametrize(("strategy", "devices"), [("freeze", 1), ("full", 2)])
def test_one_device_trains_a_head_on_cached_features_and_the_job_says_so(
    tmp_path: Path, strategy: str, devices: int
) -> None:
    job = trainable(tmp_path, strategy=strategy, training={"devices": 2, "accelerator": "cpu"})
    spec, decision = job.settle()
    assert spec.training.devices == devices
    assert ("one device trains the head" in decision["reason"]) == (devices == 1)
    assert ("devices: 1 instead of 2" in "\n".join(job.log())) == (devices == 1)


def test_a_batch_size_that_is_chosen_has_an_item_for_each_device(tmp_path: Path) -> None:
    asked = {"devices": 16, "accelerator": "cpu", "batch_size": "auto", "precision": "32"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processors, "usable", lambda: 16)
        spec, _ = trainable(tmp_path, strategy="full", training=asked).settle()
    assert spec.training.batch_size == 16
