"""How far an item is from what a model was trained on, by its features.

The distance is to the k-th nearest of a bounded number of training items (Sun et al. 2022, "Out-of-Distribution
Detection with Deep Nearest Neighbors"), by the angle between features. It needs no covariance, which a few hundred
items of a thousand features do not give (Lee et al. 2018 fit one), and no assumption on how classes lie.
"""

from pathlib import Path
from typing import Final, Self

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from models_store.reporting.sampling import evenly_spaced

MAX_REFERENCES: Final = 1000
"""Training items that are kept."""
MAX_DISTANCES: Final = 1000
"""Validation items whose distances are kept."""
_MAX_NEIGHBOURS: Final = 3
_NOISE: Final = 1e-5
"""Distances that differ by less are equal: another batch rounds them otherwise."""


class Outliers:
    """The references, and how far the validation items were from them. Immutable, so threads may share one.

    Args:
        references: unit vectors [R, width]; of float16 on disk, and widened once, not at every prediction.
        neighbours: which nearest reference counts, from 1.
        distances: of the validation items, float32 ascending.
    """

    def __init__(self, references: Tensor, neighbours: int, distances: Tensor) -> None:
        self._references, self._neighbours, self._distances = references.float(), neighbours, distances

    @property
    def nbytes(self) -> int:
        """How much memory it holds."""
        return self._references.nbytes + self._distances.nbytes

    @classmethod
    def fit(cls, training: Tensor, classes: int, validation: Tensor) -> Self:
        """From features [N, width] of items of ``classes`` classes; of too many items evenly spaced ones are taken.

        An item should find its k neighbours among those of its own class, so k is less where a class has few.
        """
        training = training[evenly_spaced(len(training), MAX_REFERENCES)]
        references = _directions(training).half()
        neighbours = max(1, min(_MAX_NEIGHBOURS, len(training) // (2 * classes)))
        unmeasured = cls(references, neighbours, torch.empty(0))
        chosen = validation[evenly_spaced(len(validation), MAX_DISTANCES)]
        return cls(references, neighbours, unmeasured.distance(chosen).sort().values)

    def distance(self, features: Tensor) -> Tensor:
        """One minus the cosine to the k-th nearest reference, float32 [N], of features [N, width]."""
        cosines = _directions(features) @ self._references.T
        return 1 - cosines.topk(self._neighbours, dim=1).values[:, -1]

    def share_closer(self, features: Tensor) -> Tensor:
        """The share of the validation items that are closer to the training data, float64 [N] in [0, 1]."""
        closer = torch.searchsorted(self._distances, self.distance(features) - _NOISE)
        return closer.double() / len(self._distances)

    def save(self, path: Path) -> None:
        """Write it as safetensors."""
        k = torch.tensor([self._neighbours])
        save_file({"references": self._references.half(), "neighbours": k, "distances": self._distances}, path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """What ``save`` wrote."""
        stored = load_file(path)
        return cls(stored["references"], int(stored["neighbours"]), stored["distances"])


def _directions(features: Tensor) -> Tensor:
    return torch.nn.functional.normalize(features.float(), dim=1)
