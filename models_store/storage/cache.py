"""Copies of what a shared store has, on this machine's disk: bounded, the least recently used go first.

A folder that is used has a lock, which the kernel drops however the process ends; one that is locked never goes. What
has not reached the store yet bears no mark, and never goes either.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from models_store.artifacts import aside, write_atomic

KINDS: Final = ("datasets", "trunks", "models", "checkpoints", "weights")
"""Folders of the store that are shared."""
MARK: Final = ".stored"
"""A file in a folder that the store has."""
_STRIPES: Final = 64


class Cache:
    """The copies below ``root``, which several processes of one machine share.

    Args:
        limit: bytes. What is in use may be more than that; and one copy may, however large it is.
    """

    def __init__(self, root: Path, limit: int) -> None:
        self._root, self._limit = root, limit

    def taken(self, folder: Path) -> int | None:
        """A descriptor that keeps a folder here until it is closed; None where the folder is not here."""
        while True:
            try:
                descriptor = os.open(folder, os.O_RDONLY)
            except FileNotFoundError:
                return None
            with contextlib.suppress(OSError):  # a file system without locks: nothing is removed there either
                fcntl.flock(descriptor, fcntl.LOCK_SH)
            if _still(folder, descriptor):
                os.utime(folder)
                return descriptor
            os.close(descriptor)

    @contextmanager
    def alone(self, folder: Path) -> Iterator[None]:
        """Nobody else on this machine fetches this folder meanwhile; a few others may have to wait as well."""
        stripe = int(hashlib.sha256(os.fsencode(folder)).hexdigest(), 16) % _STRIPES
        locks = self._root / ".fetching"
        locks.mkdir(parents=True, exist_ok=True)
        with (locks / str(stripe)).open("wb") as lock:
            with contextlib.suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def mark(self, folder: Path) -> None:
        """The store has this folder now."""
        write_atomic(folder / MARK, b"")

    def copies(self) -> list[Path]:
        """Folders that can be had again."""
        return [mark.parent for kind in KINDS for mark in (self._root / kind).glob(f"*/{MARK}") if _shown(mark.parent)]

    def make_room(self, needed: int) -> None:
        """Remove copies that nobody uses until so many bytes fit under the bound, and on the disk."""
        sizes = {folder: _size(folder) for folder in self.copies()}
        self._root.mkdir(parents=True, exist_ok=True)
        over = max(sum(sizes.values()) + needed - self._limit, needed - shutil.disk_usage(self._root).free)
        for folder in sorted(sizes, key=_used_at):
            if over <= 0:
                return
            if self.drop(folder):
                over -= sizes[folder]

    def drop(self, folder: Path) -> bool:
        """Remove a folder unless it is in use; tells whether it is gone."""
        try:
            descriptor = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            hidden = aside(folder)
            folder.rename(hidden)
        except OSError:
            return not folder.exists()  # somebody works there, or has removed it
        else:
            shutil.rmtree(hidden, ignore_errors=True)
            return True
        finally:
            os.close(descriptor)


def _still(folder: Path, descriptor: int) -> bool:
    """Whether what was opened still has this name."""
    try:
        return os.path.samestat(folder.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _shown(folder: Path) -> bool:
    return not folder.name.startswith(".")


def _used_at(folder: Path) -> int:
    with contextlib.suppress(OSError):
        return folder.stat().st_mtime_ns
    return 0


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # somebody else has removed it
            total += path.stat().st_size
    return total
