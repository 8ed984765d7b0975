"""The features of one trunk, computed in one way: looked up by the items' contents, stored as they are computed."""

import contextlib
import hashlib
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import structlog

from models_store.artifacts import write_atomic
from models_store.feature_cache import segments
from models_store.feature_cache.folders import SUFFIX, root, source_name
from models_store.feature_cache.room import Room
from models_store.feature_cache.segments import DamagedError, Features, Items

SEGMENT_BYTES: Final = 8_000_000
SEGMENT_SECONDS: Final = 10.0
"""A segment is written once it is this large or this old: what a kill can cost."""

Places = np.ndarray[Any, np.dtype[np.int64]]
Found = np.ndarray[Any, np.dtype[np.bool_]]
_log = structlog.get_logger()


@dataclass(frozen=True)
class Key:
    """All that decides the features of an item beside its content."""

    trunk: str
    """``trunk_sha256``."""
    preprocessing: str
    """``Preprocessing.sha256()``."""
    code: str
    """``code_sha256`` of what computes."""
    computed_by: str
    """Engine, precision, device and their versions."""

    @property
    def name(self) -> str:
        """The key as one hash."""
        return hashlib.sha256(json.dumps(astuple(self)).encode()).hexdigest()


class Shelf:
    """What a cache has under one key. Any number of processes may read and write it; each has a shelf of its own.

    Args:
        fingerprint: the data set for which is computed what is stored now. What was stored for others is found too.
        limit: bytes that the whole cache may take; 0: nothing is looked up and nothing stored.
    """

    def __init__(self, store_dir: Path, key: Key, width: int, fingerprint: str, limit: int) -> None:
        self.key, self.width, self.on = key, width, limit > 0
        self._room = Room(root(store_dir), limit)
        self._keyed = root(store_dir) / key.name
        self._own = self._keyed / source_name(fingerprint)
        self._used: set[Path] = set()

    def recall(self, wanted: Items, take: Callable[[Places, Features], None], look: Callable[[], None]) -> Found:
        """Give what there is of these items, a segment at a time.

        Args:
            wanted: [N], none of them twice.
            take: is given places among ``wanted``, and their features.
            look: called between segments; may raise to stop.

        Returns:
            [N], which were found.
        """
        search = _Search(wanted)
        for path in self._segments() if self.on and len(wanted) else ():
            look()
            self._recall_from(path, search, take)
            if search.found.all():
                break
        return search.found

    def store(self, items: Items, features: Features) -> bool:
        """Keep these rows, durably, if the bound allows.

        Raises:
            OSError: they cannot be written.
        """
        data = segments.pack(items, features)
        if not self._room.make(len(data), self._used):
            return False
        self._used.add(self._written(data))
        return True

    def _written(self, data: bytes) -> Path:
        path = self._own / f"{secrets.token_hex(16)}{SUFFIX}"
        for again in (True, True, False):
            self._own.mkdir(parents=True, exist_ok=True)
            try:
                write_atomic(path, data)
            except FileNotFoundError:  # who makes room removes folders that are empty
                if not again:
                    raise
            else:
                break
        return path

    def _segments(self) -> Iterator[Path]:
        """Those of this data set first."""
        yield from sorted(self._own.glob(f"*{SUFFIX}"))
        yield from (path for path in sorted(self._keyed.glob(f"*/*{SUFFIX}")) if path.parent != self._own)

    def _recall_from(self, path: Path, search: "_Search", take: Callable[[Places, Features], None]) -> None:
        try:
            if not search.matches(segments.read_items(path, self.width))[0].any():
                return
            items, features = segments.read(path, self.width)
            os.utime(path)
        except DamagedError:
            _log.warning("features_damaged", path=str(path))
            with contextlib.suppress(OSError):
                path.unlink()
            return
        except OSError:
            return  # removed meanwhile, or not readable: a miss
        useful, places = search.matches(items)
        take(places[useful], features[useful])
        search.found[places[useful]] = True
        self._used.add(path)


class _Search:
    """Which of the wanted items were not found yet."""

    def __init__(self, wanted: Items) -> None:
        self._order = np.argsort(wanted)
        self._sorted = wanted[self._order]
        self.found = np.zeros(len(wanted), dtype=np.bool_)

    def matches(self, items: Items) -> tuple[Found, Places]:
        """For each item whether it is still wanted, and its place among the wanted where it is."""
        at = np.minimum(np.searchsorted(self._sorted, items), len(self._sorted) - 1)
        places = self._order[at]
        return (self._sorted[at] == items) & ~self.found[places], places


class Keeper:
    """Collects rows as they are computed, and stores them in segments; the end of the block stores the rest.

    A disk that takes no more ends the storing, never the work. Without a shelf nothing is collected.
    """

    def __init__(self, shelf: Shelf | None) -> None:
        self._shelf = shelf if shelf is not None and shelf.on else None
        self._begin()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._store()

    def add(self, items: Items, features: Features) -> None:
        """Rows of one batch; a batch is never parted."""
        if self._shelf is None:
            return
        self._items.append(items)
        self._features.append(features.copy())
        self._bytes += features.nbytes
        if self._bytes >= SEGMENT_BYTES or time.monotonic() - self._began >= SEGMENT_SECONDS:
            self._store()

    def _store(self) -> None:
        if self._shelf is not None and self._items:
            try:
                stored = self._shelf.store(np.concatenate(self._items), np.concatenate(self._features))
            except OSError as error:
                stored = False
                _log.warning("features_not_stored", reason=str(error))
            self._shelf = self._shelf if stored else None
        self._begin()

    def _begin(self) -> None:
        self._items: list[Items] = []
        self._features: list[Features] = []
        self._bytes, self._began = 0, time.monotonic()
