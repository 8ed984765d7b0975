"""A training that is cut off after any step and resumed ends with the same weights to the bit."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch import Tensor, nn

from models_store import jobs, leases
from models_store.backbones.family import Batch
from models_store.database.engine import Database
from models_store.database.migrate import migrate
from models_store.spec import Training
from tests.models_store.rows import claimed, queued_job
from worker.attempt import Attempt, StoppedPolitelyError
from worker.settings import WorkerSettings
from worker.training.callbacks import Reporter, polite
from worker.training.checkpointing import AtomicCheckpointIO, Checkpoints, newest_intact
from worker.training.data import FeatureRows, Loader
from worker.training.module import Finetuner

EPOCHS, ITEMS, BATCH = 3, 22, 4
STEPS = EPOCHS * -(-ITEMS // BATCH)


class Cut(Exception):  # noqa: N818 - it stands for a kill
    """The process is gone."""


class CutAfter(pl.Callback):
    """Ends the training after some step, once what that step saves is saved."""

    def __init__(self, step: int) -> None:
        self._step = step

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step == self._step:
            raise Cut


class TermAt(pl.Callback):
    """Sends this process SIGTERM at some moment of an epoch, once all others have been told of that moment."""

    def __init__(self, moment: str, epoch: int) -> None:
        self._moment, self._epoch = moment, epoch

    def on_train_epoch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        self._perhaps("start", trainer)

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self._perhaps("batch", trainer)

    def on_validation_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self._perhaps("validation", trainer)

    def on_validation_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self._perhaps("validated", trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self._perhaps("end", trainer)

    def _perhaps(self, moment: str, trainer: pl.Trainer) -> None:
        if (moment, trainer.current_epoch) == (self._moment, self._epoch):
            os.kill(os.getpid(), signal.SIGTERM)


class Dropping(nn.Module):
    """A head that draws random numbers at every step."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout, self.linear = nn.Dropout(0.3), nn.Linear(8, 3)

    def forward(self, batch: Batch) -> Tensor:
        logits: Tensor = self.linear(self.dropout(batch["features"]))
        return logits


@pytest.fixture
def attempt(tmp_path: Path) -> Iterator[Attempt]:
    settings = WorkerSettings(data_dir=tmp_path, checkpoint_interval_seconds=-1)
    database = Database(settings.resolved_database_url)
    migrate(database)
    queued_job(database)
    yield Attempt(database, settings, claimed(database), tmp_path)
    database.close()


@pytest.fixture
def hearing(attempt: Attempt) -> Iterator[Attempt]:
    """The attempt, as in a child: SIGTERM asks it to stop."""
    before = signal.getsignal(signal.SIGTERM)
    attempt.hear_term()
    yield attempt
    signal.signal(signal.SIGTERM, before)


def train(
    attempt: Attempt, cut_after: pl.Callback | int | None = None, patience: int = 99, rate: float = 0.05
) -> dict[str, Tensor]:
    """One process's share of a training; gives the best weights at its end."""
    pl.seed_everything(7, verbose=False)
    features = torch.randn(ITEMS, 8, generator=torch.Generator().manual_seed(1))
    rows = FeatureRows(features, torch.arange(ITEMS) % 3)
    training = Training(max_epochs=EPOCHS, batch_size=BATCH, head_lr=rate)
    model = Dropping()
    module = Finetuner(model, [{"name": "head", "params": list(model.parameters()), "lr": rate}], training, 3, None)
    resumed = newest_intact(attempt)
    loader = Loader(ITEMS, rows, BATCH, seed=7)
    checkpoints = Checkpoints(attempt, loader, "val_loss", resumed, halvings=0)
    cut = [CutAfter(cut_after) if isinstance(cut_after, int) else cut_after] if cut_after is not None else []
    stop = EarlyStopping("val_loss", patience=patience)
    trainer = pl.Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        callbacks=[Reporter(attempt, loader, checkpoints, 0.0), stop, checkpoints, *cut],
        plugins=[AtomicCheckpointIO()],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        gradient_clip_val=1.0,
        default_root_dir=attempt.directory,
    )
    if resumed is None or not resumed["finished"]:
        path = resumed["path"] if resumed else None
        trainer.fit(module, loader, Loader(ITEMS, rows, BATCH), ckpt_path=path, weights_only=True)
    last = model.linear.weight.detach().clone()
    checkpoints.load_best(module)
    return {**model.state_dict(), "last": last}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    folder = tmp_path_factory.mktemp("whole")
    settings = WorkerSettings(data_dir=folder, checkpoint_interval_seconds=-1)
    database = Database(settings.resolved_database_url)
    migrate(database)
    queued_job(database)
    return train(Attempt(database, settings, claimed(database), folder))


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_cut_off_after_any_step(step: int, attempt: Attempt, expected: dict[str, Tensor]) -> None:
    with pytest.raises(Cut):
        train(attempt, cut_after=step)
    resumed = train(attempt)
    assert all(torch.equal(resumed[name], expected[name]) for name in expected)


@pytest.mark.parametrize("epoch", range(EPOCHS))
@pytest.mark.parametrize("moment", ["start", "batch", "validation", "validated", "end"])
def test_a_stop_at_any_moment_is_polite_and_costs_nothing(
    moment: str, epoch: int, hearing: Attempt, expected: dict[str, Tensor]
) -> None:
    with contextlib.suppress(StoppedPolitelyError):  # or the training ends, and what comes next stops
        train(hearing, TermAt(moment, epoch))
    assert hearing.stop_requested
    hearing.stop_requested = False
    kept = newest_intact(hearing)
    trained = kept is not None and kept["finished"]
    resumed = train(hearing)
    compared = expected.keys() - ({"last"} if trained else set())  # only the best weights are needed any more
    assert all(torch.equal(resumed[name], expected[name]) for name in compared)


def test_a_stop_before_the_first_step_is_polite_too() -> None:
    with pytest.raises(StoppedPolitelyError), polite():
        raise SIGTERMException


def test_a_training_that_was_stopped_early_is_not_continued(attempt: Attempt) -> None:
    train(attempt, patience=1, rate=1e-12)
    stopped = newest_intact(attempt)
    assert stopped is not None
    assert (stopped["epoch"], stopped["finished"]) == (1, True)
    train(attempt, patience=1, rate=1e-12)
    assert newest_intact(attempt) == stopped


def test_every_epoch_is_told_also_when_several_take_less_than_a_second(attempt: Attempt) -> None:
    train(attempt)
    with attempt.database.read() as session:
        told = [epoch["epoch"] for epoch in jobs.epochs(session, attempt.claim.job_id)]
    assert told == list(range(EPOCHS))


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(attempt: Attempt) -> None:
    train(attempt)
    newest, before = (attempt.row().checkpoint or {})["kept"]
    path = Path(newest["path"])
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert newest_intact(attempt) == before
    with attempt.database.read() as session:
        assert "damaged" in str([event.data for event in jobs.events(session, attempt.claim.job_id)[0]])


def test_a_checkpoint_of_an_earlier_version_is_passed_over(attempt: Attempt) -> None:
    train(attempt)
    newest, before = (attempt.row().checkpoint or {})["kept"]
    older = {name: value for name, value in newest.items() if name != "format"}
    leases.save_checkpoint(attempt.database, attempt.claim, {"kept": [{**older, "finished": False}, before]})
    assert newest_intact(attempt) == before
    with attempt.database.read() as session:
        assert "another version" in str([event.data for event in jobs.events(session, attempt.claim.job_id)[0]])
