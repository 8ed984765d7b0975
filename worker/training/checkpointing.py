"""Checkpoints that survive a kill at any instant, and exact resume from them.

A file is written under a temporary name in its own directory, fsynced, renamed, its directory fsynced, hashed, and only
then named by the job's row under the fence. Two are kept; resume takes the newest whose hash is right.
"""

import contextlib
import os
import random
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.io import CheckpointIO
from safetensors.torch import load_file, save
from torch import nn

from models_store import leases
from models_store.artifacts import sha256_file, write_atomic
from models_store.database.tables import Json
from worker.attempt import Attempt, StoppedPolitelyError

KEPT = 2


class AtomicCheckpointIO(CheckpointIO):
    """Lightning's own save stages in the system's temporary folder and does not fsync; this one does neither."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Write the checkpoint so that the name exists only with its whole content."""
        del storage_options
        with _atomic_file(Path(path)) as file:
            torch.save(checkpoint, file)

    def load_checkpoint(
        self, path: str | Path, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read tensors and plain values, never other pickles."""
        del weights_only
        checkpoint: dict[str, Any] = torch.load(path, map_location=map_location or "cpu", weights_only=True)
        return checkpoint

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete the file."""
        Path(path).unlink(missing_ok=True)


@contextlib.contextmanager
def _atomic_file(path: Path) -> Iterator[BinaryIO]:
    temporary = path.with_name(f".{path.name}.partial")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def newest_intact(attempt: Attempt) -> Json | None:
    """The newest checkpoint of the job whose file hashes right; tells in the job's history when one does not."""
    kept = (attempt.row().checkpoint or {}).get("kept", [])
    for entry in kept:
        path = Path(entry["path"])
        if path.is_file() and sha256_file(path) == entry["sha256"]:
            return dict(entry)
        leases.log(attempt.database, attempt.claim, f"checkpoint of epoch {entry['epoch']} is damaged; falling back")
    return None


class Checkpoints(pl.Callback):
    """Saves at each epoch's end, in between when ``interval`` seconds passed, and when the worker is being stopped.

    Must be the last callback, so that the others' state of the same moment is saved. Also keeps the best weights.

    Args:
        monitor: ``val_loss`` (lower is better) or ``val_accuracy`` (higher is better).
    """

    def __init__(self, attempt: Attempt, monitor: str, resumed: Json | None) -> None:
        self._attempt, self._monitor = attempt, monitor
        self.best: Json | None = resumed["best"] if resumed else None
        self._kept: list[Json] = [resumed] if resumed else []
        self._random: dict[str, Any] | None = None
        self._saved_at = time.monotonic()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Set the random generators as late as possible, after everything that draws from them in the set-up."""
        del trainer, pl_module
        if self._random is not None:
            set_random_state(self._random)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the random generators' state."""
        del trainer, pl_module
        checkpoint["random_state"] = random_state()

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keep the random generators' state for the start."""
        del trainer, pl_module
        self._random = checkpoint["random_state"]

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Between two batches, unless the epoch's end (where validation and a save follow anyway) is near."""
        del pl_module, outputs, batch
        last = batch_idx + 1 >= trainer.num_training_batches
        if last or (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        due = time.monotonic() - self._saved_at > self._attempt.settings.checkpoint_interval_seconds
        if due or self._attempt.stop_requested:
            self._save(trainer, finished=False)
        if self._attempt.stop_requested:
            raise StoppedPolitelyError

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the weights if they are the best so far."""
        values = {name: float(trainer.callback_metrics[name]) for name in ("val_loss", "val_accuracy")}
        if self.best is not None and not self._improved(values):
            return
        path = self._attempt.directory / f"best-{trainer.current_epoch:06d}.safetensors"
        state = {name: tensor.detach().cpu().contiguous() for name, tensor in _model(pl_module).state_dict().items()}
        write_atomic(path, save(state))
        self.best = {"epoch": trainer.current_epoch, **values, "path": str(path), "sha256": sha256_file(path)}

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The epoch is over and validated."""
        del pl_module
        last = trainer.current_epoch + 1 >= (trainer.max_epochs or 0)
        self._save(trainer, finished=last or trainer.should_stop)
        if self._attempt.stop_requested:
            raise StoppedPolitelyError

    def load_best(self, module: pl.LightningModule) -> None:
        """Put the best weights into the module's model."""
        if self.best is not None:
            _model(module).load_state_dict(load_file(self.best["path"]))

    def _improved(self, values: Mapping[str, float]) -> bool:
        now, before = values[self._monitor], float((self.best or {})[self._monitor])
        return now > before if self._monitor == "val_accuracy" else now < before

    def _save(self, trainer: pl.Trainer, *, finished: bool) -> None:
        path = self._attempt.directory / f"step-{trainer.global_step:09d}.ckpt"
        trainer.save_checkpoint(path)
        entry: Json = {
            "path": str(path),
            "sha256": sha256_file(path),
            "epoch": trainer.current_epoch,
            "step": trainer.global_step,
            "finished": finished,
            "best": self.best,
        }
        kept = [entry, *(old for old in self._kept if old["path"] != entry["path"])]
        leases.save_checkpoint(self._attempt.database, self._attempt.claim, {"kept": kept[:KEPT]})
        self._kept = kept[:KEPT]
        self._saved_at = time.monotonic()
        self._drop(kept[KEPT:])

    def _drop(self, old: list[Json]) -> None:
        """Files that no kept checkpoint names any more."""
        needed = {path for entry in self._kept for path in (entry["path"], (entry["best"] or {}).get("path"))}
        for entry in old:
            for path in {entry["path"], (entry["best"] or {}).get("path")} - needed:
                if path is not None:
                    Path(path).unlink(missing_ok=True)


def _model(module: pl.LightningModule) -> nn.Module:
    model = module.model
    if not isinstance(model, nn.Module):
        raise TypeError(type(model))
    return model


def random_state() -> dict[str, Any]:
    """The state of every generator that training may draw from, as tensors and plain values."""
    version, words, gauss = random.getstate()
    kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    return {
        "python": [version, list(words), gauss],
        "numpy": [str(kind), torch.from_numpy(np.asarray(keys).astype(np.int64)), position, has_gauss, cached],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Undo what happened to the generators since :func:`random_state`."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    kind, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
