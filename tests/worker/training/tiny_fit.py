"""A training as the recipe sets it up, on a backbone of some kilobytes, that can be cut off after any step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping
from torch import Tensor

from models_store import jobs
from models_store.backbones import FAMILIES
from models_store.backbones.family import Backbone, Batch
from models_store.database.engine import Database
from models_store.database.migrate import migrate
from models_store.database.tables import Json
from models_store.mirror import Mirror
from models_store.network import Network
from models_store.spec import Training
from tests.models_store.rows import claimed, queued_job
from tests.models_store.samples import tiny_text_model
from worker.attempt import Attempt
from worker.settings import WorkerSettings
from worker.training.callbacks import Reporter
from worker.training.checkpointing import AtomicCheckpointIO, Checkpoints, newest_intact
from worker.training.data import Loader
from worker.training.module import Finetuner
from worker.training.strategies import STRATEGIES

ITEMS, BATCH, CLASSES = 12, 4, 3
STEPS_AN_EPOCH = ITEMS // BATCH


class Cut(Exception):  # noqa: N818 - it stands for a kill
    """The process is gone."""


class CutAfter(pl.Callback):
    """Ends the training after some step, before what follows it is saved: checkpoints come last."""

    def __init__(self, step: int) -> None:
        self._step = step

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step == self._step:
            raise Cut


class Watch(pl.Callback):
    """Calls ``see(step)`` before the first step and after each, validation and unfreezing included."""

    def __init__(self, see: Callable[[int], None]) -> None:
        self._see = see

    def on_train_start(self, trainer: pl.Trainer, *_: Any) -> None:
        self._see(trainer.global_step)

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self._see(trainer.global_step)

    def on_validation_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self._see(trainer.global_step)


def text_backbone(folder: Path, kind: str = "bert", **settings: Any) -> Backbone:
    """With dropout and layer norm; the weights are random, and the same at every call on a folder."""
    mirror = Mirror(folder)
    if mirror.path(f"hf/tiny/{kind}", "main") is None:
        torch.manual_seed(0)
        mirror.add(f"hf/tiny/{kind}", "DEFAULT", tiny_text_model(folder / "source" / kind, kind, **settings))
    return FAMILIES["hf"].load(f"tiny/{kind}", "DEFAULT", mirror, {})


def image_backbone(folder: Path) -> Backbone:
    """With batch norm; the weights are random, and the same at every call."""
    torch.manual_seed(0)
    return FAMILIES["timm"].load("test_resnet", None, Mirror(folder), {})


def rows(backbone: Backbone) -> Callable[[np.ndarray[Any, Any]], Batch]:
    """Random inputs of the backbone's task, with labels."""
    chance = torch.Generator().manual_seed(1)
    labels = torch.arange(ITEMS) % CLASSES
    inputs: Batch = {"pixels": torch.rand(ITEMS, 3, 32, 32, generator=chance)}
    if backbone.architecture.task == "text-classification":
        tokens = torch.randint(4, 9, (ITEMS, 6), generator=chance)
        inputs = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
    every = {**inputs, "label": labels}
    return lambda chosen: {name: tensor[torch.from_numpy(chosen)] for name, tensor in every.items()}


def new_attempt(folder: Path) -> Attempt:
    """A claimed job that saves a checkpoint after every step, in a folder that is made."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = WorkerSettings(data_dir=folder, checkpoint_interval_seconds=-1)
    database = Database(settings.resolved_database_url)
    migrate(database)
    queued_job(database)
    return Attempt(database, settings, claimed(database), folder)


@dataclass
class Fit:
    """One process's share of a training.

    ``more`` callbacks run last; ``run`` may be called once.
    """

    attempt: Attempt
    backbone: Backbone
    strategy: str
    training: Training
    cut_after: int | None = None
    network: Network = field(init=False)
    module: Finetuner = field(init=False)

    def __post_init__(self) -> None:
        pl.seed_everything(self.training.seed, verbose=False)
        self.network = Network(self.backbone.module, self.backbone.architecture, CLASSES)
        groups = STRATEGIES[self.strategy].parameter_groups(self.network, self.training)
        self.module = Finetuner(self.network, groups, self.training, CLASSES, None)

    def run(self, more: Sequence[pl.Callback] = ()) -> "Fit":
        """Train from the newest checkpoint to the end, and load the best weights."""
        resumed = newest_intact(self.attempt)
        loader = Loader(ITEMS, rows(self.backbone), BATCH, seed=self.training.seed)
        checkpoints = Checkpoints(self.attempt, loader, "val_loss", resumed, halvings=0)
        stopping = self.training.early_stopping
        cut = [] if self.cut_after is None else [CutAfter(self.cut_after)]
        callbacks = [
            Reporter(self.attempt, loader, checkpoints, 0.0),
            *STRATEGIES[self.strategy].callbacks(self.network, self.training),
            *([EarlyStopping(stopping.monitor, patience=stopping.patience)] if stopping else []),
            checkpoints,
            *more,
            *cut,
        ]
        if resumed is None or not resumed["finished"]:
            path = resumed["path"] if resumed else None
            validation = Loader(ITEMS, rows(self.backbone), BATCH)
            self._trainer(callbacks).fit(self.module, loader, validation, ckpt_path=path, weights_only=True)
        self.last = {name: tensor.detach().clone() for name, tensor in self.network.state_dict().items()}
        checkpoints.load_best(self.module)
        return self

    def state(self) -> dict[str, Tensor]:
        """The best weights, and the last ones."""
        last = {f"last {name}": tensor for name, tensor in self.last.items()}
        return {**self.network.state_dict(), **last}

    def epochs(self) -> list[Json]:
        """What the job's metrics show."""
        with self.attempt.database.read() as session:
            return list(jobs.epochs(session, self.attempt.claim.job_id))

    def log(self) -> list[str]:
        """The job's log lines."""
        with self.attempt.database.read() as session:
            events = jobs.events(session, self.attempt.claim.job_id)[0]
        return [event.data["message"] for event in events if "message" in event.data]

    def _trainer(self, callbacks: list[pl.Callback]) -> pl.Trainer:
        return pl.Trainer(
            max_epochs=self.training.max_epochs,
            accelerator="cpu",
            callbacks=callbacks,
            plugins=[AtomicCheckpointIO()],
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            gradient_clip_val=self.training.gradient_clip_val,
            default_root_dir=self.attempt.directory,
        )


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether two states are equal to the bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
