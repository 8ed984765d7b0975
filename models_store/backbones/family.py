"""What every family of backbones offers, and the values that pass between them and the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from models_store.errors import InvalidError, UnavailableError
from models_store.preprocessing.protocol import Preprocessing

Batch = dict[str, torch.Tensor]
DEFAULT = "DEFAULT"
IMAGES = "image-classification"
TEXTS = "text-classification"


@dataclass(frozen=True)
class Architecture:
    """Enough to build a trunk again, without weights and without a network.

    ``name`` is the name within the family, ``width`` the number of features an item, ``config`` plain JSON of the
    family's own.
    """

    family: str
    name: str
    task: str
    width: int
    config: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Plain values for a card."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Architecture":
        """The architecture that ``as_json`` described."""
        return cls(**{field: values[field] for field in ("family", "name", "task", "width", "config")})


@dataclass(frozen=True)
class Head:
    """A linear head that was trained on the features of a backbone: ``weight`` [classes, width], ``bias`` [classes]."""

    labels: Sequence[str]
    weight: torch.Tensor
    bias: torch.Tensor

    def copy_into(self, layer: nn.Linear, labels: Sequence[str]) -> None:
        """Let the rows of ``layer``, whose classes are ``labels``, begin as those of the same label here."""
        known = {label: row for row, label in enumerate(self.labels)}
        with torch.no_grad():
            for row, label in enumerate(labels):
                if label in known:
                    layer.weight[row] = self.weight[known[label]]
                    layer.bias[row] = self.bias[known[label]]


@dataclass
class Backbone:
    """A feature extractor that is ready for a head.

    ``module`` is the library's own module with the library's own names, without its classifier, in eval mode;
    ``weights`` is the concrete name of its weights, ``None`` for random ones; ``head`` is one that it came with.
    """

    architecture: Architecture
    module: nn.Module
    preprocessing: Preprocessing
    weights: str | None
    head: Head | None = None


class LocalWeights(Protocol):
    """What this installation holds, as far as a family needs it: the operator's mirror, and the store around it."""

    store_dir: Path

    def path(self, backbone: str, weights: str) -> Path | None:
        """Folder of the mirrored files for this backbone and concrete weights name, where there is one."""

    def peek(self, backbone: str, weights: str, name: str) -> bytes | None:
        """A small one of these files, which the others need not be here for."""


class Family(Protocol):
    """A source of backbones: one file, one line in ``FAMILIES``, and the contract tests run over it."""

    tasks: frozenset[str]
    """What its backbones can be for; which of these one is for may show only when it is loaded."""

    def names(self) -> list[str]:
        """Names that can be listed; empty for a family whose names are an open set."""

    def weights(self, name: str) -> list[str]:
        """Names of the weights that exist for this backbone."""

    def resolve(self, name: str, weights: str) -> str:
        """The concrete weights name that ``weights`` stands for (``DEFAULT`` is an alias in most families)."""

    def check(self, name: str, weights: str | None) -> None:
        """Refuse what cannot exist, cheaply.

        Raises:
            InvalidError: ``unknown_backbone`` or ``unknown_weights``.
        """

    def load(self, name: str, weights: str | None, mirror: LocalWeights, options: Mapping[str, Any]) -> Backbone:
        """The backbone with these weights (``None``: random), from the mirror, the library's cache or its hub.

        Options that mean nothing to a family are ignored, as are those that are ``None``.

        Raises:
            InvalidError: the names, the options or the files found do not fit.
            UnavailableError: ``weights_unavailable``, the weights could not be found or fetched.
        """

    def build(self, architecture: Architecture) -> nn.Module:
        """The trunk of this architecture in eval mode, its weights of no meaning."""

    def extract(self, module: nn.Module, batch: Batch, architecture: Architecture) -> torch.Tensor:
        """Features [N, width] of a collated batch."""

    def convert(self, name: str, weights: str, source: Path, destination: Path) -> str:
        """Write ``source`` into the folder ``destination`` in the form that ``load`` reads; tell how names were mapped.

        Raises:
            InvalidError: ``weights_mismatch``, ``unsafe_weights`` or ``unreadable_weights``.
        """


def unknown_backbone(family: str, name: str, known: Sequence[str]) -> InvalidError:
    """The error for a name that the family does not have, with the names that come closest."""
    close = get_close_matches(name, known, n=3)
    hint = f"Did you mean {' or '.join(f'{family}/{match}' for match in close)}?" if close else "See GET /backbones."
    return InvalidError("unknown_backbone", f"There is no backbone {family}/{name}. {hint}", param="backbone")


def unknown_weights(backbone: str, weights: str, known: Sequence[str]) -> InvalidError:
    """The error for a weights name that this backbone does not have, with those that it has."""
    choice = f"Use one of {', '.join(known)}, or null for random." if known else "It has none: use null for random."
    return InvalidError("unknown_weights", f"{backbone} has no weights {weights}. {choice}", param="weights")


def weights_unavailable(backbone: str, weights: str, looked: Sequence[str]) -> UnavailableError:
    """The error for weights that exist, but not here and now."""
    return UnavailableError(
        "weights_unavailable",
        f"The weights {weights} of {backbone} are not here. Looked in: {'; '.join(looked)}. "
        f"Give this machine access to the hub, or add a file to the mirror: "
        f"finetuned weights add {backbone} --weights {weights} --file FILE",
        param="weights",
    )
