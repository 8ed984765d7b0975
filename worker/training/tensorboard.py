"""TensorBoard event files of a job, beside the rows that are the truth about its epochs."""

import shutil
import time
from collections.abc import Iterable, Mapping
from typing import Any

import pytorch_lightning as pl
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.summary import scalar

from models_store import jobs
from models_store.database.tables import Json
from worker.attempt import Attempt
from worker.training.callbacks import SEND_SECONDS, Reporter
from worker.training.module import Finetuner


def scalars(metrics: Mapping[str, Any]) -> Iterable[tuple[str, float]]:
    """Tags and values of one epoch: ``train_loss``, ``val_loss``, ``val_accuracy``, ``lr/GROUP``."""
    for name, value in metrics.items():
        if name == "lr":
            yield from ((f"lr/{group}", rate) for group, rate in value.items())
        elif name != "epoch":
            yield name, value


class EventFiles(pl.Callback):
    """Writes each epoch as it ends; comes after ``reporter``, and before what saves checkpoints.

    An attempt that goes on where another was cut off begins a file of its own with the epochs that are known, and the
    other's goes: so no epoch is there twice, and none is missing. tensorboardX's ``SummaryWriter`` would write from a
    thread of its own through shared memory, and its ``flush`` does not wait for that.
    Short epochs share a flush, which waits for the disk: a cut costs those of the last second, until the resume.
    """

    def __init__(self, attempt: Attempt, reporter: Reporter) -> None:
        self._attempt, self._reporter = attempt, reporter
        self._writer: EventsWriter | None = None
        self._flushed_at = 0.0

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Begin the file, now that it is known with which epoch the training goes on.

        Lightning does not call the hook of an epoch's start when it goes on in the middle of one.
        """
        del pl_module, batch, batch_idx
        if self._writer is None:
            self._writer = self._begun(trainer.current_epoch)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add the epoch."""
        if not isinstance(pl_module, Finetuner):
            raise TypeError(type(pl_module))
        if self._writer is not None:
            _add(self._writer, trainer.current_epoch, {**self._reporter.current, "lr": pl_module.rates()})
            self._flush(last=trainer.should_stop or trainer.current_epoch + 1 >= (trainer.max_epochs or 0))

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Whatever ends the training: what it showed so far stays."""
        del trainer, pl_module, exception
        self._flush(last=True)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """End the file."""
        del trainer, pl_module, stage
        if self._writer is not None:
            self._writer.close()

    def _flush(self, *, last: bool) -> None:
        """No later than the checkpoint that ends a training: nothing is written again after that."""
        if self._writer is not None and (last or time.monotonic() - self._flushed_at > SEND_SECONDS):
            self._writer.flush()
            self._flushed_at = time.monotonic()

    def _begun(self, epoch: int) -> EventsWriter:
        job_id = self._attempt.claim.job_id
        folder = jobs.tensorboard_directory(self._attempt.settings.store_dir, job_id)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        writer = EventsWriter(str(folder / "events"))
        with self._attempt.database.read() as session:
            before = [row for row in jobs.epochs(session, job_id) if row["epoch"] < epoch]
        for row in before:
            _add(writer, row["epoch"], row)
        return writer


def _add(writer: EventsWriter, epoch: int, metrics: Json) -> None:
    for tag, value in scalars(metrics):
        writer.write_event(Event(wall_time=time.time(), step=epoch, summary=scalar(tag, value)))
