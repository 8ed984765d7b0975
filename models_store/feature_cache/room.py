"""How much of the disk the cache may have; the least recently used files go first."""

import contextlib
import os
import shutil
import time
from collections.abc import Iterator, Set
from pathlib import Path
from typing import Final

from models_store.feature_cache.folders import SUFFIX

ABANDONED_SECONDS: Final = 3600.0
"""A file that is still not whole after this long: its writer was killed."""


class Room:
    """The bound of one cache, which several processes on several machines may share.

    Each makes room before it writes, so together they go over the bound by a segment a writer at the most.

    Args:
        limit: bytes. It is never more than half of the disk that the cache leaves or could leave free.
    """

    def __init__(self, root: Path, limit: int) -> None:
        self._root, self._limit = root, limit

    def make(self, needed: int, spared: Set[Path]) -> bool:
        """Remove files until this many bytes fit in; tells whether they do.

        Args:
            spared: stays: a pass that is larger than the cache must not push out its own beginning.
        """
        self._root.mkdir(parents=True, exist_ok=True)
        self._sweep()
        files = sorted(_stored(self._root), key=lambda one: one[1].st_mtime_ns)
        used = sum(stat.st_size for _, stat in files)
        over = used + needed - self._bound(used)
        for path, stat in files:
            if over <= 0:
                break
            if path not in spared:
                _remove(path)
                over -= stat.st_size
        return over <= 0

    def _bound(self, used: int) -> int:
        return min(self._limit, (used + shutil.disk_usage(self._root).free) // 2)

    def _sweep(self) -> None:
        for path in self._root.glob("*/*/.*.part"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > ABANDONED_SECONDS:
                    path.unlink()


def _stored(root: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for path in root.glob(f"*/*/*{SUFFIX}"):
        with contextlib.suppress(OSError):  # somebody else has removed it
            yield path, path.stat()


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
        path.parent.rmdir()  # only the last one out succeeds
        path.parent.parent.rmdir()
