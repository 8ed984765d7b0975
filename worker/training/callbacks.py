"""What the Trainer tells the job's row while it runs."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytorch_lightning as pl
from pytorch_lightning.utilities.exceptions import SIGTERMException

from models_store import leases, spans
from models_store.database.tables import Json
from worker.attempt import Attempt, StoppedPolitelyError
from worker.training.checkpointing import Checkpoints
from worker.training.data import Batches
from worker.training.module import Finetuner

SEND_SECONDS: Final = 1.0


@contextmanager
def polite() -> Iterator[None]:
    """A SIGTERM that came before :class:`Reporter` took Lightning's answer to it away.

    Raises:
        StoppedPolitelyError: in its place.
    """
    try:
        yield
    except SIGTERMException as error:
        raise StoppedPolitelyError from error


class Reporter(pl.Callback):
    """Beats at every batch, reports progress, and stores each epoch's metrics.

    Args:
        start: the fraction of the whole job that was done before training.
        checkpoints: knows the best epoch; must come after this callback, and so does this one's epoch report.
    """

    END = 0.95

    def __init__(self, attempt: Attempt, loader: Batches, checkpoints: Checkpoints, start: float) -> None:
        self._attempt, self._loader, self._checkpoints, self._start = attempt, loader, checkpoints, start
        checkpoints.before_save = self.flush  # an epoch that is not trained again must have been told
        self._began = (0.0, 0.0)
        self._unsent: dict[int, Json] = {}
        self._current: Json = {}
        self._sent_at = 0.0

    @property
    def current(self) -> Json:
        """The metrics of the last epoch that ended: training loss, validation loss and accuracy."""
        return self._current

    def tell(self, message: str) -> None:
        """Append a line to the job's history, for those in the training that do not know their job."""
        held = self._attempt.claim
        self._attempt.persist(lambda: leases.log(self._attempt.database, held, message))

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remember where and when the training started, for the estimate of what remains.

        Lightning has just put its own answer to SIGTERM in front of ours: an exception after the next epoch or in the
        next validation, without a checkpoint. Ours is enough.
        """
        del pl_module
        self._attempt.hear_term()
        self._began = (time.monotonic(), self._trained(trainer, 0))

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tell the loader which epoch's order it is to give."""
        del pl_module
        self._loader.begin(trainer.current_epoch)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """One step done."""
        del pl_module, outputs, batch
        self._attempt.beat()
        self._progress(trainer, self._trained(trainer, batch_idx + 1))

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Validation can be long; it must be as easy to stop as training."""
        del trainer, pl_module, outputs, batch, batch_idx, dataloader_idx
        self._attempt.beat()
        if self._attempt.stop_requested:
            raise StoppedPolitelyError

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the epoch's metrics and the best so far."""
        if not isinstance(pl_module, Finetuner):
            raise TypeError(type(pl_module))
        metrics: Json = {
            "train_loss": pl_module.take_train_loss(),
            "val_loss": float(trainer.callback_metrics["val_loss"]),
            "val_accuracy": float(trainer.callback_metrics["val_accuracy"]),
        }
        spans.event("epoch", {"finetuned.epoch": trainer.current_epoch})
        self._unsent[trainer.current_epoch] = {**metrics, "lr": pl_module.rates()}
        self._current = metrics
        if time.monotonic() - self._sent_at > SEND_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Store what was not stored yet; short epochs go together."""
        unsent, self._unsent = self._unsent, {}
        if not unsent:
            return
        best = {name: value for name, value in (self._checkpoints.best or {}).items() if name not in {"path", "sha256"}}
        held, current = self._attempt.claim, self._current
        self._attempt.persist(
            lambda: leases.report_epochs(self._attempt.database, held, unsent, current=current, best=best)
        )
        self._sent_at = time.monotonic()

    def _trained(self, trainer: pl.Trainer, batches: int) -> float:
        per_epoch = max(1, int(trainer.num_training_batches))
        return (trainer.current_epoch + batches / per_epoch) / (trainer.max_epochs or 1)

    def _progress(self, trainer: pl.Trainer, trained: float) -> None:
        began, already = self._began
        speed = (trained - already) / max(1e-9, time.monotonic() - began)
        self._attempt.progress(
            "training",
            self._start + (self.END - self._start) * trained,
            epoch=trainer.current_epoch,
            max_epochs=trainer.max_epochs,
            eta_seconds=round((1.0 - trained) / speed, 1) if speed > 0 else None,
        )
