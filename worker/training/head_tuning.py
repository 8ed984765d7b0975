"""Training of a head alone, on cached features: steps so small that the Trainer's own work between two would rule.

The Trainer spends about a millisecond between two batches (hooks, progress, transfer), a step of a head takes a
quarter of that. So it is handed runs of batches, and does the steps of a run in one go. Each step is what it would be
alone: zeroed gradients, backward, clipping, update, schedule. What acts between batches (checkpoints, stopping,
reports) acts between runs, and a run takes some hundredths of a second.
"""

from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from models_store.backbones.family import Batch
from models_store.spec import Training
from worker.training.module import Finetuner
from worker.training.optimizing import clip

BATCHES_A_RUN: Final = 64
ROWS_A_RUN: Final = 8192


def batches_a_run(batch_size: int) -> int:
    """How many batches are trained on in one go: fewer of large ones, and one at least."""
    return max(1, min(BATCHES_A_RUN, ROWS_A_RUN // batch_size))


class HeadFinetuner(Finetuner):
    """A :class:`Finetuner` whose ``training_step`` is given a list of batches and does a step on each.

    Lightning calls this manual optimization; it counts the steps, and saves and restores optimizer and schedule as it
    always does. It leaves clipping to the module, so its own ``gradient_clip_val`` must not be set.

    Args:
        steps_an_epoch: batches of an epoch.
    """

    def __init__(
        self,
        model: nn.Module,
        groups: list[dict[str, Any]],
        training: Training,
        classes: int,
        class_weights: Tensor | None,
        steps_an_epoch: int,
    ) -> None:
        super().__init__(model, groups, training, classes, class_weights)
        self.automatic_optimization = False
        self._steps = steps_an_epoch * training.max_epochs
        self._clip = training.gradient_clip_val

    def training_step(self, batches: list[Batch], _index: int) -> None:  # type: ignore[override]
        """One optimizer step a batch, in their order."""
        optimizer, scheduler = self.optimizers(), self.lr_schedulers()
        if isinstance(optimizer, list) or not isinstance(scheduler, LRScheduler):
            raise TypeError(type(optimizer), type(scheduler))
        losses = []
        for batch in batches:
            optimizer.zero_grad()
            loss = self.loss(batch)
            self.manual_backward(loss)
            optimizer.step()
            scheduler.step()
            losses.append(loss.detach())
        sizes = torch.tensor([len(batch["label"]) for batch in batches], device=self.device)
        self.note(torch.stack(losses), sizes)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clip, where the Trainer would: when gradients have their own scale again."""
        clip(optimizer, self._clip)

    def steps(self) -> int:
        """Optimizer steps of the whole training; the Trainer would count runs."""
        return self._steps
