"""Bounded, repeatable choices of rows."""

import torch
from torch import Tensor


def spread_over_classes(labels: Tensor, count: int) -> Tensor:
    """At most ``count`` rows, int64 ascending: every class gives one before any gives another, spread over its rows.

    Args:
        labels: int64 [N].
    """
    if len(labels) <= count:
        return torch.arange(len(labels))
    chance = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    by_class = chance[labels[chance].argsort(stable=True)]
    counts = torch.bincount(labels)
    turns = torch.empty_like(labels)
    turns[by_class] = torch.arange(len(labels)) - (counts.cumsum(0) - counts)[labels[by_class]]
    return turns.argsort(stable=True)[:count].sort().values


def evenly_spaced(size: int, count: int) -> Tensor:
    """At most ``count`` of the rows ``0 … size - 1``, int64 ascending; what stands in order keeps its shares."""
    if size <= count:
        return torch.arange(size)
    return torch.linspace(0, size - 1, count, dtype=torch.float64).round().long()
