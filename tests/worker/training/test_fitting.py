"""Augmented and balanced trainings that are cut off and resumed, and what TensorBoard then shows of them."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import pytorch_lightning as pl
import torch
from tensorboardX.proto.event_pb2 import Event
from torch import Tensor

from models_store import jobs, leases
from tests.worker.training.trainable import Trainable, trainable
from worker.training import fitting
from worker.training.strategies import STRATEGIES, Strategy

TRAINING = {"max_epochs": 3, "batch_size": 8, "augmentation": "strong", "sampling": "balanced", "head_lr": 0.05}
STEPS_AN_EPOCH = 3


class Cut(Exception):  # noqa: N818 - it stands for a kill
    """The process is gone."""


class CutAfter(pl.Callback):
    """Ends the training after some step, once what that step saves is saved: so it comes after the checkpoints."""

    def __init__(self, step: int) -> None:
        self._step = step

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step == self._step:
            raise Cut


def cut(strategy: Strategy, step: int) -> Strategy:
    """The strategy with an end to it."""
    same = {name: getattr(strategy, name) for name in ("CACHES_FEATURES", "parameter_groups", "finish")}
    return cast(Strategy, SimpleNamespace(**same, callbacks=lambda *_: [CutAfter(step)]))


def job(folder: Path, strategy: str, interval: float = -1, **training: Any) -> Trainable:
    return trainable(
        folder,
        per_class=(16, 8),
        strategy=strategy,
        settings={"checkpoint_interval_seconds": interval},
        training={**TRAINING, **training},
    )


def train(one: Trainable, strategy: Strategy) -> dict[str, Tensor]:
    """One process's share of a training; gives the weights at its end."""
    pl.seed_everything(0, verbose=False)
    spec, _ = one.settle()
    material = fitting.material(spec.training, one.data, one.network, strategy, one.preprocessing, one.extraction)
    fitting.fit(one.attempt, spec, one.data, one.network, strategy, material, halvings=0)
    return {name: tensor.clone() for name, tensor in one.network.state_dict().items()}


def scalars(one: Trainable) -> dict[str, list[tuple[int, float]]]:
    """Tag → steps and values of every file of the job, in the order in which they are stored."""
    folder = jobs.tensorboard_directory(one.attempt.settings.store_dir, one.attempt.claim.job_id)
    found: dict[str, list[tuple[int, float]]] = {}
    for file in sorted(folder.iterdir()):
        for event in _events(file):
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def _events(file: Path) -> Sequence[Event]:
    """The records of an event file, by the writer's own protocol buffers: length, checksum, record, checksum."""
    content, at, events = file.read_bytes(), 0, []
    while at < len(content):
        length = int.from_bytes(content[at : at + 8], "little")
        events.append(Event.FromString(content[at + 12 : at + 12 + length]))
        at += 12 + length + 4
    return events


@pytest.mark.parametrize("step", [1, 3, 4, 8])
@pytest.mark.parametrize("strategy", ["full", "freeze"])
def test_an_augmented_and_balanced_training_that_is_cut_off_ends_with_the_same_weights_to_the_bit(
    tmp_path: Path, strategy: str, step: int
) -> None:
    expected = train(job(tmp_path / "whole", strategy), STRATEGIES[strategy])
    one = job(tmp_path / "cut", strategy)
    with pytest.raises(Cut):
        train(one, cut(STRATEGIES[strategy], step))
    resumed = train(one.again(), STRATEGIES[strategy])
    assert all(torch.equal(resumed[name], expected[name]) for name in expected)


def test_augmentation_and_balance_make_a_difference_and_repeat_with_the_seed(tmp_path: Path) -> None:
    def weights(name: str, **training: Any) -> Tensor:
        return train(job(tmp_path / name, "full", **training), STRATEGIES["full"])["head.weight"]

    plain = weights("plain")
    assert torch.equal(plain, weights("again"))
    assert not torch.equal(plain, weights("none", augmentation="none"))
    assert not torch.equal(plain, weights("light", augmentation="light"))
    assert not torch.equal(plain, weights("shuffled", sampling="shuffled"))


def test_a_frozen_backbone_stays_as_it_is_though_its_inputs_are_augmented(tmp_path: Path) -> None:
    one = job(tmp_path, "freeze")
    before = {name: tensor.clone() for name, tensor in one.network.backbone.state_dict().items()}
    train(one, STRATEGIES["freeze"])
    assert all(torch.equal(tensor, before[name]) for name, tensor in one.network.backbone.state_dict().items())


@pytest.mark.parametrize("strategy", ["full", "freeze"])
def test_tensorboard_has_every_epoch_once_with_the_values_of_the_rows(tmp_path: Path, strategy: str) -> None:
    one = job(tmp_path, strategy, augmentation="none")
    train(one, STRATEGIES[strategy])
    with one.attempt.database.read() as session:
        rows = list(jobs.epochs(session, one.attempt.claim.job_id))
    shown = scalars(one)
    groups = {f"lr/{name}" for name in rows[0]["lr"]}
    assert set(shown) == {"train_loss", "val_loss", "val_accuracy"} | groups
    for tag, values in shown.items():
        expected = [row["lr"][tag[3:]] if tag.startswith("lr/") else row[tag] for row in rows]
        assert [step for step, _ in values] == [0, 1, 2]
        assert [value for _, value in values] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("step", [1, 3, 4, 7])
def test_tensorboard_shows_no_epoch_twice_after_a_resume(tmp_path: Path, step: int) -> None:
    one = job(tmp_path, "full")
    with pytest.raises(Cut):
        train(one, cut(STRATEGIES["full"], step))
    assert [epoch for epoch, _ in scalars(one).get("val_loss", [])] == list(range(step // STEPS_AN_EPOCH))
    train(one.again(), STRATEGIES["full"])
    assert [epoch for epoch, _ in scalars(one)["val_loss"]] == [0, 1, 2]


def test_tensorboard_shows_no_epoch_twice_where_a_training_had_to_begin_anew(tmp_path: Path) -> None:
    one = job(tmp_path, "full", interval=1e9)  # nothing is saved before the end, but epochs are told
    with pytest.raises(Cut):
        train(one, cut(STRATEGIES["full"], 7))
    assert [epoch for epoch, _ in scalars(one)["val_loss"]] == [0, 1]
    train(one.again(), STRATEGIES["full"])
    assert [epoch for epoch, _ in scalars(one)["val_loss"]] == [0, 1, 2]


def test_deleting_a_job_deletes_its_event_files(tmp_path: Path) -> None:
    one = job(tmp_path, "full")
    train(one, STRATEGIES["full"])
    folder = jobs.tensorboard_directory(one.attempt.settings.store_dir, one.attempt.claim.job_id)
    assert folder.is_dir()
    leases.cancelled(one.attempt.database, one.attempt.claim)
    jobs.delete(one.attempt.database, one.attempt.settings.store_dir, one.attempt.claim.job_id, owner="ann")
    assert not folder.exists()


class Seen(pl.Callback):
    """What the Trainer of a job is set to."""

    def __init__(self) -> None:
        self.settings: dict[str, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        del pl_module
        stopping = trainer.early_stopping_callback
        self.settings = {
            "epochs": trainer.max_epochs,
            "clipping": trainer.gradient_clip_val,
            "precision": trainer.precision,
            "stopping": stopping and (stopping.monitor, stopping.patience, stopping.mode),
        }


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, {"epochs": 1, "clipping": 1.0, "precision": "32-true", "stopping": ("val_loss", 3, "min")}),
        (
            {
                "gradient_clip_val": 0.5,
                "precision": "bf16-mixed",
                "early_stopping": {"monitor": "val_accuracy", "patience": 1},
            },
            {"epochs": 1, "clipping": 0.5, "precision": "bf16-mixed", "stopping": ("val_accuracy", 1, "max")},
        ),
    ],
    ids=["by default", "as a job sets them"],
)
def test_the_trainer_of_a_job_has_its_settings(asked: dict[str, Any], expected: dict[str, Any], tmp_path: Path) -> None:
    seen, full = Seen(), STRATEGIES["full"]
    same = {name: getattr(full, name) for name in ("CACHES_FEATURES", "parameter_groups", "finish")}
    watched = cast(Strategy, SimpleNamespace(**same, callbacks=lambda *_: [seen]))
    one = trainable(tmp_path, per_class=(16, 8), strategy="full", training={"max_epochs": 1, **asked})
    train(one, watched)
    assert seen.settings == expected
