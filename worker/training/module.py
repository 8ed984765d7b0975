"""The Lightning module: cross-entropy, exact validation metrics, one schedule a step."""

import math
from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torchmetrics.classification import MulticlassAccuracy

from models_store.backbones.family import Batch
from models_store.errors import InvalidError
from models_store.spec import Training
from worker.training.averages import Mean
from worker.training.optimizing import clip, lay_out, optimizer_of, schedule


class HeadOnFeatures(nn.Module):
    """The head alone, on batches of cached ``features`` [N, width]."""

    def __init__(self, head: nn.Linear) -> None:
        super().__init__()
        self.head = head

    def forward(self, batch: Batch) -> Tensor:
        """Logits [N, classes]."""
        logits: Tensor = self.head(batch["features"])
        return logits


class Finetuner(pl.LightningModule):
    """Trains ``model`` (a whole network, or a head on features) with the groups that the strategy chose.

    Args:
        model: batch → logits [N, classes].
        groups: the optimizer's parameter groups, each with ``name`` and ``lr``.
        class_weights: float32 [classes] for the training loss, or None.
    """

    def __init__(
        self,
        model: nn.Module,
        groups: list[dict[str, Any]],
        training: Training,
        classes: int,
        class_weights: Tensor | None,
    ) -> None:
        super().__init__()
        self.model = model
        self._groups, self._training = groups, training
        self.register_buffer("_class_weights", class_weights, persistent=False)
        self._train_loss = Mean()
        self._train_loss.persistent(True)  # so that an epoch resumed in its middle reports its whole mean
        self._val_loss = Mean()
        # Looking whether the labels are sound would wait for the device at every batch; the import has looked.
        self._val_accuracy = MulticlassAccuracy(num_classes=classes, average="micro", validate_args=False)

    def on_fit_start(self) -> None:
        """Lightning keeps the modes that it finds, and a loaded backbone comes in eval; a frozen one stays there."""
        self.model.train()

    def on_train_start(self) -> None:
        """What a checkpoint has brought may lie in memory otherwise than what is trained."""
        for optimizer in self.trainer.optimizers:
            lay_out(optimizer)

    def training_step(self, batch: Batch, _index: int) -> Tensor:
        """The (weighted, smoothed) cross-entropy of a batch."""
        loss = self.loss(batch)
        self.note(loss, len(batch["label"]))
        return loss

    def loss(self, batch: Batch) -> Tensor:
        """What a step on a batch lowers."""
        inputs, labels = split(batch)
        logits = self.model(inputs).float()
        weights = self._class_weights if isinstance(self._class_weights, Tensor) else None
        return F.cross_entropy(logits, labels, weights, label_smoothing=self._training.label_smoothing)

    def note(self, loss: Tensor, items: int | Tensor) -> None:
        """Let the mean losses of batches of so many items count in the epoch's."""
        self._train_loss.update(loss.detach(), items)

    def validation_step(self, batch: Batch, _index: int) -> None:
        """Plain cross-entropy and accuracy, exact over the whole split."""
        inputs, labels = split(batch)
        logits = self.model(inputs).float()
        self._val_loss.update(F.cross_entropy(logits, labels), len(labels))
        self._val_accuracy.update(logits, labels)

    def on_validation_epoch_end(self) -> None:
        """Give the epoch's values to the callbacks.

        Raises:
            InvalidError: ``diverged``.
        """
        values = {"val_loss": self._val_loss.compute(), "val_accuracy": self._val_accuracy.compute()}
        if not math.isfinite(values["val_loss"]):
            raise InvalidError(
                "diverged", "The loss became infinite or NaN. Lower head_lr and backbone_lr, or use precision 32."
            )
        self.log_dict(values)
        self._val_loss.reset()
        self._val_accuracy.reset()

    def take_train_loss(self) -> float:
        """The mean training loss since the last call."""
        value = float(self._train_loss.compute())
        self._train_loss.reset()
        return value

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Lightning's own refuses fused optimizers in ``bf16-mixed``, too, where no scale stands against it."""
        del gradient_clip_algorithm
        clip(optimizer, gradient_clip_val)

    def configure_optimizers(self) -> Any:
        """The optimizer over the strategy's groups, and the schedule stepped after every batch."""
        optimizer = optimizer_of(self._training, self._groups)
        factor = schedule(self._training, self.steps())
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": LambdaLR(optimizer, factor), "interval": "step"}}

    def steps(self) -> int:
        """Optimizer steps of the whole training, if nothing stops it early."""
        return int(self.trainer.estimated_stepping_batches)

    def trained(self) -> list[nn.Parameter]:
        """Everything that trains at any time."""
        return [parameter for group in self._groups for parameter in group["params"]]

    def rates(self) -> dict[str, float]:
        """The learning rate now of each group that trains; one that is still frozen has none."""
        (optimizer,) = self.trainer.optimizers
        return {group["name"]: float(group["lr"]) for group in optimizer.param_groups if _trains(group)}


def split(batch: Batch) -> tuple[Batch, Tensor]:
    """What the model reads, and the labels: many a library's forward refuses a name that it does not know."""
    return {name: tensor for name, tensor in batch.items() if name != "label"}, batch["label"]


def _trains(group: dict[str, Any]) -> bool:
    return any(parameter.requires_grad for parameter in group["params"])
