"""What this machine can do, and what a job therefore runs with."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal

import torch

from models_store import processors
from models_store.errors import InvalidError
from models_store.spec import Training
from worker.training.devices import group

Precision = Literal["32-true", "16-mixed", "bf16-mixed"]
ALWAYS: Final = 2
"""Processes that a job may have on any CPU, to try out what several devices do; more only where there are cores."""
SMALL_PRODUCTS: Final = 100_000_000
"""Multiplications of a step that one thread does in hundredths of a second."""
_FULL: Final[Precision] = "32-true"
_MIXED_16: Final[Precision] = "16-mixed"
_MIXED_BF16: Final[Precision] = "bf16-mixed"


def resolve_accelerator(training: Training) -> Training:
    """Replace ``accelerator: auto`` by what there is, and see that there is as much of it as the job asks for.

    Raises:
        InvalidError: ``accelerator_unavailable``, ``devices_unsupported``.
    """
    accelerator = training.accelerator
    if accelerator == "auto":
        accelerator = "gpu" if torch.cuda.is_available() else "cpu"
    resolved = training.model_copy(update={"accelerator": accelerator})
    _check(resolved)
    return resolved


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
    most, what = (torch.cuda.device_count(), "GPUs") if training.accelerator == "gpu" else _processes()
    if training.devices > most:
        raise InvalidError(
            "devices_unsupported",
            f"The worker that took the job has {most} {what}. Choose no more devices, or start a worker that has them.",
            param="training.devices",
        )
    if training.batch_size != "auto" and training.batch_size < training.devices:
        raise InvalidError(
            "devices_unsupported",
            f"A batch of {training.batch_size} has no item for each of {training.devices} devices. "
            f"Choose fewer devices, or a batch_size of at least {training.devices}.",
            param="training.batch_size",
        )


def _processes() -> tuple[int, str]:
    """On a CPU a device is a process."""
    cores = processors.usable()
    return (cores, "CPU cores") if cores >= ALWAYS else (ALWAYS, "devices for a job")


def device(training: Training) -> torch.device:
    """Where a job with this resolved accelerator computes."""
    return torch.device("cuda" if training.accelerator == "gpu" else "cpu")


def lightning_precision(training: Training) -> Precision:
    """The resolved precision in Lightning's words."""
    return {"16-mixed": _MIXED_16, "bf16-mixed": _MIXED_BF16}.get(str(training.precision), _FULL)


def preparing_threads() -> int:
    """Threads that decode and tokenize beside the computation; the processes of one training share the machine."""
    return min(8, max(1, processors.usable() // group.place()[1]))


def let_torch_ask_cuda() -> None:
    """Undo what importing Lightning sets: torch then loads NVML anew whenever it asks whether there is a GPU.

    That keeps forks possible, of which a job's process makes none; and on a machine without a GPU, where Adam asks at
    every step, it takes longer than a small step's arithmetic.
    """
    os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)


@contextmanager
def threads_for(products: int | None) -> Iterator[None]:
    """One thread for small products: beside other work on the machine, several would mostly wait for each other.

    Args:
        products: multiplications of a step; None where they are many.
    """
    threads = torch.get_num_threads()
    if products is not None and products < SMALL_PRODUCTS:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
