"""The processes that train one job together: which of them this is, and what they tell each other.

What is told here all of them must call, in the same order. In a training of one process nothing is asked of anybody.
"""

from pathlib import Path
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")


def join(store: Path, number: int, world: int, device: torch.device) -> None:
    """Meet the others over a file; returns when all are there.

    What lies on the CPU goes by gloo, also between processes with a GPU each: a word among them waits for no device.

    Args:
        store: no file yet when the first process comes.
        number: this process's, from 0.
        world: how many there are.
    """
    if device.type == "cuda":
        torch.cuda.set_device(number)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    meeting = dist.FileStore(str(store), world)  # type: ignore[attr-defined]
    dist.init_process_group(backend, store=meeting, rank=number, world_size=world)


def place() -> tuple[int, int]:
    """This process's number, from 0, and how many there are."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def first_says(*flags: bool) -> list[bool]:
    """What the first process says: clocks and signals are not the same everywhere, and what is done must be."""
    if place()[1] == 1:
        return list(flags)
    said = torch.tensor(flags, dtype=torch.uint8)
    dist.broadcast(said, 0)
    return [bool(flag) for flag in said.tolist()]


def summed(values: Tensor) -> Tensor:
    """The sum over all processes."""
    total = values.clone()
    if place()[1] > 1:
        dist.all_reduce(total)
    return total


def everyones(values: Tensor) -> Tensor:
    """The values [N] of all processes, [processes, N]."""
    found = [torch.empty_like(values) for _ in range(place()[1])]
    dist.all_gather(found, values)
    return torch.stack(found)


def gathered(one: T) -> list[T]:
    """What each has, in the order of their numbers: tensors on the CPU and plain values."""
    world = place()[1]
    if world == 1:
        return [one]
    found: list[T] = [one] * world
    dist.all_gather_object(found, one)
    return found
