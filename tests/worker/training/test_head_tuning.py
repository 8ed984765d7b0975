"""A head trained in runs of batches is the head that single steps give, also when it was cut off and resumed."""

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from models_store import jobs
from models_store.backbones.family import Batch
from models_store.spec import Training
from tests.worker.training.tiny_fit import new_attempt
from worker.attempt import Attempt
from worker.training.callbacks import Reporter
from worker.training.checkpointing import AtomicCheckpointIO, Checkpoints, newest_intact
from worker.training.data import Batches, FeatureRows, Loader, Runs
from worker.training.head_tuning import HeadFinetuner, batches_a_run
from worker.training.module import Finetuner

EPOCHS, ITEMS, BATCH, CLASSES, TOGETHER = 3, 22, 4, 3, 2
STEPS_AN_EPOCH = -(-ITEMS // BATCH)
TRAINING = Training(max_epochs=EPOCHS, batch_size=BATCH, head_lr=0.05, warmup_fraction=0.2, gradient_clip_val=0.3)


class Cut(Exception):  # noqa: N818 - it stands for a kill
    """The process is gone."""


class CutAfter(pl.Callback):
    """Ends the training after some step, once what follows it is saved."""

    def __init__(self, step: int) -> None:
        self._step = step

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step == self._step:
            raise Cut


class Dropping(nn.Module):
    """A head that draws random numbers at every step."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout, self.linear = nn.Dropout(0.3), nn.Linear(8, CLASSES)

    def forward(self, batch: Batch) -> Tensor:
        logits: Tensor = self.linear(self.dropout(batch["features"]))
        return logits


def train(attempt: Attempt, training: Training = TRAINING, *, together: int | None, cut_after: int = 0) -> Tensor:
    """One process's share of a training in runs, or, without ``together``, in the Trainer's own steps."""
    pl.seed_everything(7, verbose=False)
    rows = FeatureRows(torch.randn(ITEMS, 8, generator=torch.Generator().manual_seed(1)), torch.arange(ITEMS) % CLASSES)
    model = Dropping()
    groups = [{"name": "head", "params": list(model.parameters()), "lr": training.head_lr}]
    loader: Batches = Loader(ITEMS, rows, BATCH, seed=7)
    module = Finetuner(model, groups, training, CLASSES, None)
    if together is not None and isinstance(loader, Loader):
        loader = Runs(loader, together)
        module = HeadFinetuner(model, groups, training, CLASSES, None, STEPS_AN_EPOCH)
    resumed = newest_intact(attempt)
    checkpoints = Checkpoints(attempt, loader, "val_loss", resumed, halvings=0)
    trainer = pl.Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        callbacks=[Reporter(attempt, loader, checkpoints, 0.0), checkpoints, CutAfter(cut_after)],
        plugins=[AtomicCheckpointIO()],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        gradient_clip_val=training.gradient_clip_val if together is None else None,
        default_root_dir=attempt.directory,
    )
    path = resumed["path"] if resumed else None
    trainer.fit(module, loader, Loader(ITEMS, rows, ITEMS), ckpt_path=path, weights_only=True)
    assert trainer.global_step == EPOCHS * STEPS_AN_EPOCH
    return model.linear.weight.detach().clone()


def losses(attempt: Attempt) -> list[float]:
    """The training loss of each epoch."""
    with attempt.database.read() as session:
        return [epoch["train_loss"] for epoch in jobs.epochs(session, attempt.claim.job_id)]


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
def test_runs_give_the_weights_of_single_steps_to_the_bit(tmp_path: Path, optimizer: str) -> None:
    training = TRAINING.model_copy(update={"optimizer": optimizer})
    single = train(new_attempt(tmp_path / "single"), training, together=None)
    for together in (1, 4, 64):
        assert torch.equal(train(new_attempt(tmp_path / str(together)), training, together=together), single)


def test_runs_report_the_losses_of_single_steps(tmp_path: Path) -> None:
    single, runs = new_attempt(tmp_path / "single"), new_attempt(tmp_path / "runs")
    train(single, together=None)
    train(runs, together=4)
    assert losses(runs) == pytest.approx(losses(single), rel=1e-9)


@pytest.mark.parametrize("step", range(TOGETHER, EPOCHS * STEPS_AN_EPOCH + 1, TOGETHER))
def test_a_head_that_is_cut_off_after_any_run_ends_with_the_same_weights(tmp_path: Path, step: int) -> None:
    whole, attempt = new_attempt(tmp_path / "whole"), new_attempt(tmp_path / "cut")
    expected = train(whole, together=TOGETHER)
    with pytest.raises(Cut):
        train(attempt, together=TOGETHER, cut_after=step)
    assert torch.equal(train(attempt, together=TOGETHER), expected)
    assert losses(attempt) == losses(whole)


@pytest.mark.parametrize(("batch_size", "expected"), [(1, 64), (32, 64), (256, 32), (4096, 2), (100_000, 1)])
def test_a_run_is_short_however_large_the_batches(batch_size: int, expected: int) -> None:
    assert batches_a_run(batch_size) == expected
