"""Checkpoints and models that a store holds already."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from models_store import bundle, checkpoints, ids, registry
from models_store.artifacts import temporary_directory_beside
from models_store.backbones import FAMILIES, SOURCES, split_name
from models_store.backbones.checkpoint import examine
from models_store.database.engine import Database
from models_store.database.migrate import migrate
from models_store.database.tables import CheckpointRow
from models_store.mirror import Mirror
from models_store.network import Network
from models_store.quarantine import content


def new_database(folder: Path) -> Database:
    """A migrated SQLite."""
    folder.mkdir(parents=True, exist_ok=True)
    database = Database(f"sqlite:///{folder / 'kept.db'}")
    migrate(database)
    return database


def keep_checkpoint(
    database: Database, store_dir: Path, tensors: Mapping[str, Tensor], architecture: str, owner: str = "ann"
) -> CheckpointRow:
    """Store a checkpoint as an upload does."""
    checkpoint_id = ids.new("ckpt")
    with temporary_directory_beside(checkpoints.directory(store_dir, checkpoint_id)) as folder:
        file = folder / checkpoints.TENSORS
        content.write(dict(tensors), file)
        parts = examine(file, architecture, SOURCES, Mirror(store_dir))
        new = checkpoints.NewCheckpoint(
            checkpoint_id,
            owner,
            "나의 체크포인트",
            architecture,
            parts,
            content.order(file),
            "0" * 64,
            file.stat().st_size,
        )
        return checkpoints.create(database, store_dir, new, folder)


def keep_model(store_dir: Path, backbone_name: str, labels: list[str]) -> tuple[str, Network]:
    """Save a model with a random head as training does; gives its id, and what was saved."""
    family, name = split_name(backbone_name)
    backbone = FAMILIES[family].load(name, None, Mirror(store_dir), {})
    network = Network(backbone.module, backbone.architecture, len(labels)).freeze()
    model_id = ids.new("mdl")
    card = {"labels": labels, "job": "job_none"}
    directory = registry.directory(store_dir, model_id)
    bundle.save(directory, store_dir, network, backbone.architecture, backbone.preprocessing, card)
    return model_id, network


def renamed(module: nn.Module, prefix: str) -> dict[str, Tensor]:
    """The state of a module as one that has it under this name saves it."""
    return {f"{prefix}.{name}": tensor for name, tensor in module.state_dict().items()}


def seeded(module: nn.Module, seed: int) -> nn.Module:
    """The module with weights that follow from the seed, batch norm's statistics too."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in module.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator) * 0.1 + 0.01)
    return module
