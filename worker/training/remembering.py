"""Measurements that depend on this machine and on little else are made once, so that equal jobs run equally."""

import hashlib
import json
import platform
from collections.abc import Callable
from pathlib import Path

import torch

from models_store.artifacts import write_atomic
from models_store.database.tables import Json

FOLDER = "measurements"


def once(store_dir: Path, facts: Json, measure: Callable[[], Json]) -> Json:
    """What ``measure`` gave when these facts were met first on such a machine; a damaged file is measured anew.

    Two equal jobs with one seed would else differ where a busy moment made the one choose differently.
    """
    path = store_dir / FOLDER / f"{_key({**facts, **_machine()})}.json"
    try:
        known: Json = json.loads(path.read_bytes())
    except (OSError, ValueError):
        known = measure()
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps(known).encode())
    return known


def _machine() -> Json:
    return {
        "cpu": str(torch.cpu.get_capabilities()),
        "platform": platform.platform(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def _key(facts: Json) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
