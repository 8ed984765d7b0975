"""Checkpoints that survive a kill at any instant, and exact resume from them.

A file is written under a temporary name in its own directory, fsynced, renamed, its directory fsynced, hashed, and only
then named by the job's row under the fence. Two are kept; resume takes the newest whose hash is right.
"""

import contextlib
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.plugins.io import CheckpointIO
from safetensors.torch import load_file, save
from torch import Tensor, nn

from models_store import leases
from models_store.artifacts import sha256_file, write_atomic
from models_store.database.tables import Json
from worker.attempt import Attempt, StoppedPolitelyError
from worker.training import elsewhere
from worker.training.data import Batches
from worker.training.devices import group

KEPT = 2
FORMAT = 2
"""Of checkpoints in the middle of a training; 1 had other names for the mean loss and counted a head's steps singly."""


class AtomicCheckpointIO(CheckpointIO):
    """Lightning's own save stages in the system's temporary folder and does not fsync; this one does neither."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Write the checkpoint so that the name exists only with its whole content."""
        del storage_options
        with _atomic_file(Path(path)) as file, _as_disk_error():
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


@contextlib.contextmanager
def _as_disk_error() -> Iterator[None]:
    """torch's writer answers a full disk with a RuntimeError of its own; the reason is the error under it."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise


def newest_intact(attempt: Attempt) -> Json | None:
    """The newest checkpoint of the job whose file hashes right; tells in the job's history when one does not."""
    kept = (attempt.row().checkpoint or {}).get("kept", [])
    for entry in (_brought(attempt, one) for one in kept):
        if not entry["finished"] and entry.get("format") != FORMAT:
            wrong = "is of another version of this service"
        elif not (_intact(entry) and (entry["best"] is None or _intact(entry["best"]))):
            wrong = "is damaged"
        else:
            leases.log(attempt.database, attempt.claim, f"resumed from the checkpoint after step {entry['step']}")
            return dict(entry)
        leases.log(attempt.database, attempt.claim, f"checkpoint of epoch {entry['epoch']} {wrong}; falling back")
    return None


def _brought(attempt: Attempt, entry: Json) -> Json:
    """A checkpoint and the best weights that belong to it, as they lie on this machine."""
    best = entry["best"]
    return {**elsewhere.brought(attempt, entry), "best": best and elsewhere.brought(attempt, best)}


def _intact(entry: Json) -> bool:
    path = Path(entry["path"])
    return path.is_file() and sha256_file(path) == entry["sha256"]


class Checkpoints(Checkpoint):
    """Saves when ``checkpoint_interval_seconds`` passed, when the worker is being stopped, and at the training's end.

    As Lightning runs a ``Checkpoint`` after all other callbacks, their state of the same moment is saved.
    Also keeps the best weights.

    Args:
        monitor: ``val_loss`` (lower is better) or ``val_accuracy`` (higher is better).
        halvings: how often the batch was halved for memory; a checkpoint fits only that.
    """

    def __init__(self, attempt: Attempt, loader: Batches, monitor: str, resumed: Json | None, halvings: int) -> None:
        self._attempt, self._loader, self._monitor, self._halvings = attempt, loader, monitor, halvings
        self.best: Json | None = resumed["best"] if resumed else None
        self.before_save: Callable[[], None] = _nothing
        self._best_weights: dict[str, Tensor] | None = None
        self._kept: list[Json] = [resumed] if resumed else []
        self._restored: dict[str, Any] | None = None
        self._saved_at = time.monotonic()
        self._unsent: list[Path] = []
        self._unwanted: list[Path] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restore what the set-up itself changes, as late as possible: random generators, place in the data."""
        del trainer, pl_module
        if self._restored is not None:
            set_random_state(self._restored["random_state"])
            self._loader.load_state_dict(self._restored["loader"])

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the random generators' state, on several devices that of each process, and the place in the data."""
        del trainer, pl_module
        checkpoint["random_state"], *checkpoint["random_states_of_others"] = group.gathered(random_state())
        checkpoint["loader"] = self._loader.state_dict()

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keep for the start what was added."""
        del trainer, pl_module
        states = [checkpoint["random_state"], *checkpoint.get("random_states_of_others", [])]
        self._restored = {"random_state": states[group.place()[0]], "loader": checkpoint["loader"]}

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Between two batches, but not after an epoch's last, where validation and a look at the clock follow."""
        del pl_module, outputs, batch
        last = batch_idx + 1 >= trainer.num_training_batches
        if not last and (batch_idx + 1) % trainer.accumulate_grad_batches == 0:
            self._save_if_due(trainer, finished=False)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the weights if they are the best so far."""
        values = {name: float(trainer.callback_metrics[name]) for name in ("val_loss", "val_accuracy")}
        if self.best is not None and not self._improved(values):
            return
        if trainer.is_global_zero:
            state = _model(pl_module).state_dict()
            self._best_weights = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in state.items()}
        self.best = {"epoch": trainer.current_epoch, **values}

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The epoch is over and validated."""
        del pl_module
        last = trainer.current_epoch + 1 >= (trainer.max_epochs or 0)
        self._save_if_due(trainer, finished=last or trainer.should_stop)

    def load_best(self, module: pl.LightningModule) -> None:
        """Put the best weights into the module's model."""
        if self.best is not None:
            _model(module).load_state_dict(self._best_weights or load_file(self.best["path"]))

    def _improved(self, values: Mapping[str, float]) -> bool:
        now, before = values[self._monitor], float((self.best or {})[self._monitor])
        return now > before if self._monitor == "val_accuracy" else now < before

    def _save_if_due(self, trainer: pl.Trainer, *, finished: bool) -> None:
        late = time.monotonic() - self._saved_at > self._attempt.settings.checkpoint_interval_seconds
        due, stop = group.first_says(late, self._attempt.stop_requested)
        if due or finished or stop:
            self._save(trainer, finished=finished)
        if stop:
            group.first_says(stop)  # the first still keeps what was saved; nobody must end before it has
            raise StoppedPolitelyError

    def _save(self, trainer: pl.Trainer, *, finished: bool) -> None:
        path = self._attempt.directory / f"step-{trainer.global_step:09d}.ckpt"
        trainer.save_checkpoint(path)
        if trainer.is_global_zero:
            self._keep(trainer, path, finished=finished)
        self._saved_at = time.monotonic()

    def _keep(self, trainer: pl.Trainer, path: Path, *, finished: bool) -> None:
        self._unsent.append(path)
        self._save_best()
        entry: Json = {
            "path": str(path),
            "sha256": sha256_file(path),
            "epoch": trainer.current_epoch,
            "step": trainer.global_step,
            "finished": finished,
            "format": FORMAT,
            "best": self.best,
        }
        kept = [entry, *(old for old in self._kept if old["path"] != entry["path"])]
        self.before_save()
        self._attempt.point_to({"kept": kept[:KEPT], "halvings": self._halvings})
        self._kept = kept[:KEPT]
        self._drop(kept[KEPT:])
        self._send()

    def _save_best(self) -> None:
        if self.best is None or self._best_weights is None or "path" in self.best:
            return
        path = self._attempt.directory / f"best-{self.best['epoch']:06d}.safetensors"
        write_atomic(path, save(self._best_weights))
        self._unsent.append(path)
        self.best = {**self.best, "path": str(path), "sha256": sha256_file(path)}

    def _send(self) -> None:
        """What a store that machines share lacks: after the pointer, which must not wait for a store that is slow."""
        while self._unsent:
            path = self._unsent[0]
            if path.is_file() and not elsewhere.push(self._attempt, path):
                return  # each of the others would wait as long, and the training with them
            self._unsent.pop(0)
        while self._unwanted:
            elsewhere.drop(self._attempt, self._unwanted.pop())

    def _drop(self, old: list[Json]) -> None:
        """Files that no kept checkpoint names any more."""
        needed = {path for entry in self._kept for path in _files(entry)}
        for path in {path for entry in old for path in _files(entry)} - needed:
            Path(path).unlink(missing_ok=True)
            self._unwanted.append(Path(path))


def _nothing() -> None:
    """Until a reporter asks to be heard before each save."""


def _files(entry: Json) -> list[str]:
    best = entry["best"] or {}
    return [entry["path"], *([best["path"]] if "path" in best else [])]


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
