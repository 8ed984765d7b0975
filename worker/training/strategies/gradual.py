"""Gradual unfreezing (ULMFiT, Howard & Ruder 2018): the head alone, then the backbone's layers one by one from the top.

In the first third of all optimizer steps the backbone is frozen; in the second third its layers thaw at equal
distances, the lowest at its end; in the last third everything trains. ULMFiT thaws a layer an epoch, which supposes as
many epochs as layers; thirds fit any ``max_epochs`` and any depth. One schedule of the rate rules all groups, as
there; a layer that thaws later begins at the rate of that moment, and its optimizer state begins then.
"""

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping

from models_store.network import Network
from models_store.spec import Training
from worker.training.callbacks import Reporter
from worker.training.strategies.layers import Group, layer_groups, layers, named_groups

CACHES_FEATURES = False


def parameter_groups(network: Network, training: Training) -> list[Group]:
    """``backbone.0`` … ``backbone.N``, frozen as yet, and ``head``; an optimizer leaves alone what has no gradient."""
    network.freeze_backbone()
    head = named_groups("head", list(network.head.parameters()), training.head_lr)
    return [*layer_groups(network.backbone, training), *head]


def callbacks(network: Network, training: Training) -> list[pl.Callback]:  # noqa: ARG001 - as all strategies
    """The one that thaws."""
    return [Thawing(network)]


def finish(network: Network) -> None:
    """Nothing was added."""


def thawed(step: int, steps: int, depth: int) -> int:
    """How many of ``depth`` layers train at a step (from 0) of ``steps``, counted from the top."""
    behind = 3 * step - steps  # how far into the second third, in thirds of a step
    if behind < 0:
        return 0
    return min(depth, 1 + (depth - 1) * behind // steps)


class Thawing(pl.Callback):
    """Thaws layers when their step has come, and tells so; before the last has thawed, patience does not count.

    What has thawed follows from the step alone, so a resumed job goes on where it was; what is kept in checkpoints is
    what was told already.
    """

    def __init__(self, network: Network) -> None:
        self._network, self._layers = network, layers(network.backbone)
        self._thawed = 0
        self._steps = 0

    def state_dict(self) -> dict[str, Any]:
        """How many layers have thawed."""
        return {"thawed": self._thawed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Those that had thawed, thaw again."""
        self._thaw(state_dict["thawed"])

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The steps are known from here on."""
        del pl_module
        self._steps = int(trainer.estimated_stepping_batches)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Thaw before the batch whose step is a layer's first."""
        del pl_module, batch, batch_idx
        due = thawed(trainer.global_step, self._steps, len(self._layers))
        if due > self._thawed:
            self._thaw(due)
            self._tell(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A plateau before the end of the thawing says nothing of what comes: this epoch will not count as a wait."""
        del pl_module
        if self._thawed < len(self._layers):
            for callback in trainer.callbacks:  # type: ignore[attr-defined]
                if isinstance(callback, EarlyStopping):
                    callback.wait_count = -1

    def _thaw(self, count: int) -> None:
        self._thawed = count
        if count == len(self._layers):
            self._network.unfreeze_backbone()
            return
        top = self._layers[len(self._layers) - count :]
        self._network.freeze_backbone(spare=[module for layer in top for module in layer.modules])

    def _tell(self, trainer: pl.Trainer) -> None:
        lowest = len(self._layers) - self._thawed
        message = f"step {trainer.global_step} of {self._steps}: unfrozen down to backbone.{lowest}"
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, Reporter):
                callback.tell(message)
