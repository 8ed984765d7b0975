"""A published model and everything that is known of it, read once for one download."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import load_file

from models_store import registry, trunk_files
from models_store.backbones.family import Architecture
from models_store.database.tables import DatasetRow, ModelRow
from models_store.errors import NotFoundError
from models_store.exchange.tensors import StoredTensor, computed_tensor, stored_tensors
from models_store.reporting import stored

BACKBONE: Final = "backbone."


@dataclass(frozen=True)
class Source:
    """What a download is made of. ``tensors`` is the trunk under ``backbone.`` and the head with its temperature."""

    row: ModelRow
    card: Mapping[str, Any]
    report: Mapping[str, Any] | None
    dataset: DatasetRow | None
    """The data set, unless it was deleted."""
    architecture: Architecture
    directory: Path
    tensors: list[StoredTensor]

    @property
    def labels(self) -> list[str]:
        """The classes in the order of the logits."""
        return list(self.card["labels"])

    @property
    def backbone(self) -> str:
        """The library's own name of the backbone, whatever the job called it (``model/…``, ``checkpoint/…``)."""
        return f"{self.architecture.family}/{self.architecture.name}"

    @property
    def temperature(self) -> float:
        """What logits are divided by before they become probabilities."""
        return float(self.card.get("temperature", 1.0))


def read(row: ModelRow, dataset: DatasetRow | None, store_dir: Path) -> Source:
    """Everything but the tensors' bytes, which stay on disk.

    Raises:
        UnavailableError: ``trunk_missing`` or ``trunk_damaged``.
        OSError: the model's own files are gone.
    """
    directory = registry.directory(store_dir, row.id)
    card = json.loads((directory / "card.json").read_bytes())
    trunk, architecture = trunk_files.locate(store_dir, card["trunk"])
    tensors = [tensor.renamed(BACKBONE + tensor.name) for tensor in stored_tensors(trunk)]
    head = _head(directory, float(card.get("temperature", 1.0)))
    return Source(row, card, _report(directory, dataset), dataset, architecture, directory, [*tensors, *head])


def _head(directory: Path, temperature: float) -> list[StoredTensor]:
    """The linear layer whose outputs are the logits over the temperature: plain softmax then gives what is served."""
    layer = load_file(directory / "head.safetensors")
    folded = {name: (layer[name].double() / temperature).to(torch.float32) for name in ("weight", "bias")}
    return [
        computed_tensor(f"head.{name}", tuple(tensor.shape), tensor.contiguous().numpy().tobytes())
        for name, tensor in folded.items()
    ]


def _report(directory: Path, dataset: DatasetRow | None) -> Mapping[str, Any] | None:
    """Nothing of the items of a data set that was deleted, also where this copy is older than that."""
    try:
        report = stored.read(directory)
    except NotFoundError:
        return None
    return report if dataset is not None else stored.without_items(report)
