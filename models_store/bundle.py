"""What a saved model is on disk: card, head, tokenizer, report, and the name of its trunk. No pickles."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from models_store import trunks
from models_store.artifacts import publish_directory, temporary_directory_beside, write_atomic
from models_store.backbones.family import Architecture
from models_store.backbones.mapping import fill
from models_store.errors import ConflictError
from models_store.network import Network
from models_store.outliers import Outliers
from models_store.preprocessing.loading import load_preprocessing
from models_store.preprocessing.protocol import Preprocessing
from models_store.reporting import stored

_CARD = "card.json"
_HEAD = "head.safetensors"
_OUTLIERS = "ood.safetensors"


@dataclass(frozen=True, kw_only=True)
class StoredModel:
    """All of a model but its trunk; ``card`` is plain JSON with ``labels``.

    ``weight`` [classes, width] and ``bias`` [classes] are the head's. ``outliers`` tells how far an item is from the
    training data; models of earlier versions have none.
    """

    card: dict[str, Any]
    weight: Tensor
    bias: Tensor
    preprocessing: Preprocessing
    outliers: Outliers | None = None


@dataclass(frozen=True, kw_only=True)
class Bundle(StoredModel):
    """A whole model in PyTorch; ``network`` is frozen and in eval mode."""

    network: Network
    architecture: Architecture


def save(
    directory: Path,
    store_dir: Path,
    network: Network,
    architecture: Architecture,
    preprocessing: Preprocessing,
    card: Mapping[str, Any],
    *,
    report: dict[str, Any] | None = None,
    outliers: Outliers | None = None,
) -> str:
    """Write a model, whole or not at all, and its trunk where that is new; gives the trunk's name.

    The card gets ``architecture``, ``preprocessing`` and ``trunk`` beside what the caller put in it.

    Raises:
        ConflictError: ``model_exists``, there is something at ``directory`` already.
    """
    if directory.exists():
        raise ConflictError("model_exists", "A saved model is never overwritten. Save this one under a new id.")
    trunk = trunks.put(store_dir, network.backbone, architecture)
    described = {"architecture": architecture.as_json(), "preprocessing": preprocessing.card(), "trunk": trunk}
    with temporary_directory_beside(directory) as temporary:
        head = {name: tensor.detach().cpu().contiguous() for name, tensor in network.head.state_dict().items()}
        save_file(head, temporary / _HEAD)
        preprocessing.save(temporary)
        if outliers is not None:
            outliers.save(temporary / _OUTLIERS)
        if report is not None:
            stored.write(temporary, report)
        content = json.dumps({**card, **described}, indent=2, ensure_ascii=False)
        write_atomic(temporary / _CARD, content.encode())
        publish_directory(temporary, directory)
    return trunk


def complete(directory: Path, **more: Any) -> dict[str, Any]:
    """Add to the card what could be known only once the bundle was stored; gives the whole card."""
    card = {**json.loads((directory / _CARD).read_bytes()), **more}
    write_atomic(directory / _CARD, json.dumps(card, indent=2, ensure_ascii=False).encode())
    return card


def read(
    directory: Path,
    load_preprocessing: Callable[[Mapping[str, Any], Path], Preprocessing] = load_preprocessing,
    load_outliers: Callable[[Path], Outliers] = Outliers.load,
) -> StoredModel:
    """The model that ``save`` wrote, without its trunk.

    What is loaded may be shared with other models: it is only read.
    """
    card: dict[str, Any] = json.loads((directory / _CARD).read_bytes())
    head = load_file(directory / _HEAD)
    preprocessing = load_preprocessing(card["preprocessing"], directory)
    outliers = load_outliers(directory / _OUTLIERS) if (directory / _OUTLIERS).exists() else None
    return StoredModel(
        card=card, weight=head["weight"], bias=head["bias"], preprocessing=preprocessing, outliers=outliers
    )


def load(directory: Path, store_dir: Path) -> Bundle:
    """The model that ``save`` wrote.

    Raises:
        UnavailableError: its trunk is missing or damaged.
    """
    stored = read(directory)
    module, architecture = trunks.load(store_dir, stored.card["trunk"])
    network = Network(module, architecture, classes=len(stored.bias))
    fill(network.head, {"weight": stored.weight, "bias": stored.bias})
    parts = {field.name: getattr(stored, field.name) for field in fields(stored)}
    return Bundle(**parts, network=network.freeze(), architecture=architecture)
