"""What has to be here before a model, or a trunk, is used."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from models_store import registry
from models_store.storage.protocol import Storage

GRAPH: Final = "openvino"
"""A trunk's graph is a folder of its own in the trunk's: it may come later, and be replaced."""


def of_trunk(store_dir: Path, trunk: str) -> tuple[Path, Path]:
    """The folders of a trunk, and of its graph."""
    folder = store_dir / "trunks" / trunk
    return folder, folder / GRAPH


@contextmanager
def of_model(storage: Storage, store_dir: Path, model_id: str) -> Iterator[None]:
    """Have a model and its trunk here for as long as the block lasts; whoever reads it finds what is missing.

    Raises:
        UnavailableError: as ``Storage.using``.
    """
    folder = registry.directory(store_dir, model_id)
    with storage.using(folder), storage.using(*_beside(folder)):
        yield


def hold_model(storage: Storage, store_dir: Path, model_id: str) -> None:
    """As :func:`of_model`, until this process ends."""
    folder = registry.directory(store_dir, model_id)
    storage.hold(folder)
    storage.hold(*_beside(folder))


def _beside(folder: Path) -> tuple[Path, ...]:
    """The trunk that a bundle names."""
    try:
        trunk = json.loads((folder / "card.json").read_bytes())["trunk"]
    except (OSError, ValueError, KeyError):
        return ()
    return of_trunk(folder.parent.parent, str(trunk))
