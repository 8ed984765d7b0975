"""``batch_size: auto``: the largest power of two that fits the device, and still leaves an epoch some steps."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch

from models_store.backbones.family import Batch
from models_store.spec import Training
from worker.training import footprint
from worker.training.trial import Trial

STEPS_AN_EPOCH: Final = 10
"""With fewer steps an epoch, small sets would be trained for a handful of steps in all."""
LARGEST: Final = {"cached": 256, "gpu": 256, "cpu": 64}
"""On a CPU a larger batch is not faster; on cached features a step is a small matrix product."""
SMALLEST: Final = 8
"""Below this, batch statistics and gradients are mostly noise; less only where memory demands it."""
SHARE: Final = 0.6
"""Of the memory that is free: other processes are on the machine too."""
MEASURED: Final = (2, 8)
"""Batch sizes of the two steps from which the memory of larger ones on the CPU is told."""
UNMEASURED: Final = 32
Fetch = Callable[[int], Batch]
"""The batch of the given number of the longest items."""


@dataclass(frozen=True)
class Choice:
    """A batch size, and why in a few words."""

    batch_size: int
    why: str


def by_examples(examples: int, kind: str) -> int:
    """The largest power of two that leaves an epoch ``STEPS_AN_EPOCH`` steps, between ``SMALLEST`` and ``LARGEST``."""
    wanted = max(1, examples // STEPS_AN_EPOCH)
    return int(min(LARGEST[kind], max(SMALLEST, 2 ** int(math.log2(wanted)))))


def on_cached_features(examples: int) -> Choice:
    """For a head alone: memory is no matter."""
    return Choice(by_examples(examples, "cached"), f"{examples:,} examples of cached features")


def on_gpu(examples: int, make: Callable[[], Trial], fetch: Fetch, on_step: Callable[[], None]) -> Choice:
    """Try a real step, and half the batch as long as the device has too little memory for it."""
    fits = fits_gpu(make, fetch, on_step)
    return Choice(largest_that(fits, by_examples(examples, "gpu")), "the largest whose step the GPU's memory held")


def fits_gpu(make: Callable[[], Trial], fetch: Fetch, on_step: Callable[[], None]) -> Callable[[int], bool]:
    """Whether the GPU has the memory for a step of a batch of a size, by doing it."""

    def fits(batch_size: int) -> bool:
        on_step()
        try:
            with make() as trial:
                trial.step(fetch(batch_size))
        except torch.OutOfMemoryError:
            return False
        finally:
            torch.cuda.empty_cache()
        return True

    return fits


def largest_that(fits: Callable[[int], bool], most: int) -> int:
    """``most``, halved until it fits; 1 is not asked any more."""
    size = most
    while size > 1 and not fits(size):
        size //= 2
    return size


def on_cpu(examples: int, make: Callable[[], Trial], fetch: Fetch, on_step: Callable[[], None]) -> Choice:
    """Tell from two small steps what a larger one takes, and compare with what is free."""
    most = by_examples(examples, "cpu")
    free = footprint.available()
    if free is None or footprint.resident() is None:
        return Choice(min(most, UNMEASURED), "this system does not tell how much memory there is")
    if most <= MEASURED[0]:
        return Choice(most, f"{examples:,} examples")
    small, large = step_bytes(make, fetch, on_step)
    size = estimated(small, large, free, most)
    return Choice(size, f"a step of {MEASURED[1]} took {large / 2**20:,.0f} MiB of {free / 2**20:,.0f} MiB free")


def step_bytes(make: Callable[[], Trial], fetch: Fetch, on_step: Callable[[], None]) -> list[int]:
    """What steps of the ``MEASURED`` sizes take at their peaks, in bytes above what the process held before."""
    before, peaks = footprint.resident() or 0, []
    with make() as trial:
        for size in MEASURED:
            batch = fetch(size)
            on_step()
            with footprint.Peak() as peak:
                trial.step(batch)
            peaks.append((peak.bytes or before) - before)
    return peaks


def estimated(small: int, large: int, free: int, most: int) -> int:
    """The largest power of two up to ``most`` whose step takes at most ``SHARE`` of ``free``.

    ``small`` and ``large`` are the peaks of steps of the ``MEASURED`` sizes, in bytes; what both took alike (gradients,
    the optimizer's state) is not taken twice, and memory grows with the batch in a straight line.
    """
    low, high = MEASURED
    per_item = max(0.0, (large - small) / (high - low))
    return largest_that(lambda size: small + per_item * (size - low) <= SHARE * free, most)


def kind_of_device(training: Training) -> str:
    """The key of :data:`LARGEST` for a job that trains on raw inputs."""
    return "gpu" if training.accelerator == "gpu" else "cpu"
