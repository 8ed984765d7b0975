"""What this machine can do, and what a job therefore runs with."""

import os
from typing import Final, Literal

import torch

from models_store.errors import InvalidError
from models_store.spec import Training

Precision = Literal["32-true", "16-mixed", "bf16-mixed"]
_FULL: Final[Precision] = "32-true"
_MIXED_16: Final[Precision] = "16-mixed"
_MIXED_BF16: Final[Precision] = "bf16-mixed"


def resolve_accelerator(training: Training) -> Training:
    """Replace ``accelerator: auto`` by what there is.

    Raises:
        InvalidError: ``accelerator_unavailable``, ``devices_unsupported``.
    """
    _check(training)
    accelerator = training.accelerator
    if accelerator == "auto":
        accelerator = "gpu" if torch.cuda.is_available() else "cpu"
    return training.model_copy(update={"accelerator": accelerator})


def resolve_precision(training: Training, *, trains_backbone: bool) -> Training:
    """Replace ``precision: auto`` by what the resolved accelerator has, except where only measuring can tell.

    ``16-mixed`` or ``bf16-mixed`` where a GPU has it and the backbone trains; a head alone gains nothing from it. On a
    CPU that may gain from bfloat16 it stays ``auto``; and as CPUs train in no other half precision, ``16-mixed`` is
    ``bf16-mixed`` there.
    """
    precision = str(training.precision)
    if training.accelerator == "cpu" and precision == "16-mixed":
        precision = "bf16-mixed"
    if precision == "auto" and not trains_backbone:
        precision = "32"
    if precision == "auto" and training.accelerator == "gpu":
        precision = "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
    return training.model_copy(update={"precision": precision})


def _check(training: Training) -> None:
    if training.accelerator == "gpu" and not torch.cuda.is_available():
        raise InvalidError(
            "accelerator_unavailable",
            "The worker that took the job has no GPU. Choose accelerator auto or cpu, or start a worker with a GPU.",
            param="training.accelerator",
        )
    if training.devices > 1:
        raise InvalidError(
            "devices_unsupported", "A job runs on one device as yet. Leave devices at 1.", param="training.devices"
        )


def device(training: Training) -> torch.device:
    """Where a job with this resolved accelerator computes."""
    return torch.device("cuda" if training.accelerator == "gpu" else "cpu")


def lightning_precision(training: Training) -> Precision:
    """The resolved precision in Lightning's words."""
    return {"16-mixed": _MIXED_16, "bf16-mixed": _MIXED_BF16}.get(str(training.precision), _FULL)


def preparing_threads() -> int:
    """Threads that decode and tokenize beside the computation."""
    return max(1, min(8, len(os.sched_getaffinity(0))))
