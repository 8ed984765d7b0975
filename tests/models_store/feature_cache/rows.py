"""Items whose features tell which item they belong to."""

import hashlib
from pathlib import Path

import numpy as np

from models_store.feature_cache.segments import Features, Items, items_of
from models_store.feature_cache.shelf import Found, Key, Places, Shelf

WIDTH = 32
KEY = Key("trunk", "preprocessing", "code", "torch-f32")


def items(start: int, count: int) -> Items:
    """Some items by number."""
    return items_of([hashlib.sha256(str(number).encode()).hexdigest() for number in range(start, start + count)])


def features(of: Items) -> Features:
    """[N, 32]: the bytes of the item's hash."""
    return np.frombuffer(of.tobytes(), dtype=np.uint8).reshape(-1, WIDTH).astype(np.float32)


def shelf(store: Path, *, key: Key = KEY, data_set: str = "sha256:a", limit: int = 10**9) -> Shelf:
    """As a process opens it."""
    return Shelf(store, key, WIDTH, data_set, limit)


def recalled(of: Shelf, wanted: Items) -> tuple[Found, Features]:
    """Which were found, and all features, zero where not."""
    values = np.zeros((len(wanted), WIDTH), dtype=np.float32)

    def take(places: Places, rows: Features) -> None:
        values[places] = rows

    return of.recall(wanted, take, lambda: None), values


def files(store: Path) -> list[Path]:
    """Every segment of the store."""
    return sorted((store / "features").rglob("*.rows"))
