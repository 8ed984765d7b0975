"""Which classes are told apart: precision, recall, F1 and confusions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

MATRIX_CLASSES: Final = 100
"""With more classes than these there is no full matrix."""
CONFUSIONS: Final = 100
"""The most frequent confusions that are listed."""


@dataclass(frozen=True)
class Counts:
    """How often which class was taken for which.

    ``pairs`` is int64 [P], each ``label * classes + predicted``, and ``counts`` [P] how often it was met: no more than
    one an item, however many classes there are.
    """

    classes: int
    pairs: Tensor
    counts: Tensor

    @property
    def support(self) -> Tensor:
        """Items of each class, float64 [classes]."""
        return self._sums(self.pairs // self.classes)

    @property
    def predicted(self) -> Tensor:
        """Items that each class was said of, float64 [classes]."""
        return self._sums(self.pairs % self.classes)

    @property
    def right(self) -> Tensor:
        """Items of each class that it was said of, float64 [classes]."""
        same = self.pairs // self.classes == self.pairs % self.classes
        return torch.bincount(
            self.pairs[same] // self.classes, self.counts[same].double(), minlength=self.classes
        ).double()

    def _sums(self, places: Tensor) -> Tensor:
        return torch.bincount(places, self.counts.double(), minlength=self.classes)


def count(labels: Tensor, predicted: Tensor, classes: int) -> Counts:
    """Count confusions of int64 [N] labels and predictions."""
    pairs, counts = torch.unique(labels * classes + predicted, return_counts=True)
    return Counts(classes, pairs, counts)


def per_class(counts: Counts, names: Sequence[str]) -> list[dict[str, Any]]:
    """``label``, ``precision``, ``recall``, ``f1``, ``support`` of each class; what has nothing to divide by is 0."""
    precision, recall, f1 = _scores(counts)
    columns = zip(names, precision.tolist(), recall.tolist(), f1.tolist(), counts.support.long().tolist(), strict=True)
    return [dict(zip(("label", "precision", "recall", "f1", "support"), row, strict=True)) for row in columns]


def macro(counts: Counts) -> dict[str, float]:
    """Means over the classes that were met, as a label or as a prediction."""
    met = (counts.support + counts.predicted) > 0
    return {
        name: float(values[met].mean())
        for name, values in zip(("precision", "recall", "f1"), _scores(counts), strict=True)
    }


def matrix(counts: Counts) -> list[list[int]] | None:
    """Rows are labels, columns what was said of them; ``None`` for more than ``MATRIX_CLASSES`` classes."""
    if counts.classes > MATRIX_CLASSES:
        return None
    flat = torch.zeros(counts.classes**2, dtype=torch.long)
    flat[counts.pairs] = counts.counts
    rows: list[list[int]] = flat.reshape(counts.classes, counts.classes).tolist()
    return rows


def confusions(counts: Counts, names: Sequence[str]) -> list[dict[str, Any]]:
    """The most frequent pairs of a ``label`` and another class that was ``predicted``, with their ``count``."""
    wrong = counts.pairs // counts.classes != counts.pairs % counts.classes
    pairs, how_often = counts.pairs[wrong], counts.counts[wrong]
    order = how_often.argsort(descending=True, stable=True)[:CONFUSIONS]
    return [
        {"label": names[pair // counts.classes], "predicted": names[pair % counts.classes], "count": number}
        for pair, number in zip(pairs[order].tolist(), how_often[order].tolist(), strict=True)
    ]


def _scores(counts: Counts) -> tuple[Tensor, Tensor, Tensor]:
    right, support, predicted = counts.right, counts.support, counts.predicted
    both = support + predicted
    return right / predicted.clamp(min=1), right / support.clamp(min=1), 2 * right / both.clamp(min=1)
