"""Where a trunk's files lie, and what they tell before anything is built of them."""

import json
from pathlib import Path
from typing import Final

from models_store.artifacts import sha256_file
from models_store.backbones.family import Architecture
from models_store.errors import UnavailableError

TENSORS: Final = "trunk.safetensors"
ARCHITECTURE: Final = "architecture.json"


def directory(store_dir: Path, sha256: str) -> Path:
    """Where the trunk of this name lies."""
    return store_dir / "trunks" / sha256


def locate(store_dir: Path, sha256: str) -> tuple[Path, Architecture]:
    """The safetensors file of this trunk, whose bytes were checked, and what it is the trunk of.

    Raises:
        UnavailableError: ``trunk_missing``, or ``trunk_damaged`` when its bytes are not those that were stored.
    """
    folder = directory(store_dir, sha256)
    if not folder.is_dir():
        raise UnavailableError("trunk_missing", "The model's trunk is not in the store. Restore it from a backup.")
    described = json.loads((folder / ARCHITECTURE).read_bytes())
    if sha256_file(folder / TENSORS) != described["file_sha256"]:
        raise UnavailableError("trunk_damaged", "The model's trunk is damaged on disk. Restore it from a backup.")
    return folder / TENSORS, Architecture.from_json(described["architecture"])
