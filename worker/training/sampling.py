"""Which rows come when: every choice is a function of the labels and a seed."""

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

Rows = np.ndarray[Any, np.dtype[np.int64]]
Order = Callable[[np.random.Generator], Rows]
"""Draws the row numbers of one epoch."""


def shuffled(size: int) -> Order:
    """Every row once."""
    return lambda chance: chance.permutation(size)


def balanced(labels: Tensor) -> Order:
    """Each class as often as every other, and as many rows in all as there are.

    A class with more rows than its share gives a random part of them; one with fewer is gone through again and again,
    so that each of its rows comes as often as the others, give or take one.
    """
    classes = [np.flatnonzero(labels.numpy() == label) for label in np.unique(labels)]
    share, left = divmod(len(labels), len(classes))

    def draw(chance: np.random.Generator) -> Rows:
        lucky = set(chance.permutation(len(classes))[:left].tolist())
        drawn = [_rounds(rows, share + (number in lucky), chance) for number, rows in enumerate(classes)]
        return chance.permutation(np.concatenate(drawn))

    return draw


def _rounds(rows: Rows, count: int, chance: np.random.Generator) -> Rows:
    rounds = [chance.permutation(rows) for _ in range(-(-count // len(rows)))]
    return np.concatenate([rows[:0], *rounds])[:count]


def stratified(labels: Tensor, size: int, seed: int) -> Rows:
    """At most ``size`` rows in which each class has its share, and at least one where there is room.

    The first half of the answer is such a sample too.
    """
    chance = np.random.default_rng(seed)
    order = chance.permutation(len(labels))
    place = np.empty(len(labels))
    for label in np.unique(labels):
        rows = order[labels.numpy()[order] == label]
        place[rows] = np.arange(len(rows)) / len(rows)
    return order[np.argsort(place[order], kind="stable")][:size]
