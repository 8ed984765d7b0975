"""The part of one process in a step that several take together."""

from typing import Any, Final

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor

from models_store.backbones.family import Batch
from worker.training.data import IGNORED
from worker.training.devices import group
from worker.training.devices.normalising import WholeBatch
from worker.training.module import Finetuner, split

MEAN_LOSS: Final = ("_train_loss.total", "_train_loss.weight")


class SharedFinetuner(Finetuner):
    """A :class:`Finetuner` on a part of each batch: the step is the one that a single process does on the whole.

    Parts may differ in size, and classes in weight, so the mean of the parts' means is not the batch's. Each process
    divides by what the whole batch weighs, and multiplies by the number of processes, by which DDP's mean over their
    gradients divides again.
    """

    def training_step(self, batch: Batch, _index: int) -> Tensor:
        """Its share in the batch's cross-entropy, of which the mean over the processes is the whole."""
        inputs, labels = split(batch)
        counts = labels != IGNORED
        with WholeBatch(counts.any().float()):
            logits = self.model(inputs).float()
        weights = self._class_weights if isinstance(self._class_weights, Tensor) else None
        smoothing = self._training.label_smoothing
        share = F.cross_entropy(logits, labels, weights, reduction="sum", label_smoothing=smoothing)
        each = counts.float() if weights is None else weights[labels.clamp(min=0)] * counts
        weight, items = group.summed(torch.stack([each.sum(), counts.float().sum()]))
        loss: Tensor = share * group.place()[1] / weight
        self.note(loss, items)
        return loss

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """What is saved of the epoch's mean loss is of all processes …"""
        state = checkpoint["state_dict"]
        state.update({name: group.summed(state[name]) for name in MEAN_LOSS})

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """… so one goes on with it, and the others with nothing."""
        if group.place()[0] > 0:
            state = checkpoint["state_dict"]
            state.update({name: torch.zeros_like(state[name]) for name in MEAN_LOSS})
