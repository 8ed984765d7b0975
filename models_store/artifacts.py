"""Files that survive a crash: whole or absent, never half-written. A full disk is left to the caller as its OSError."""

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

_TEMPORARY: Final = ".tmp-"


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes as 64 hexadecimal digits; the file is streamed."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomic(path: Path, data: bytes) -> None:
    """Write ``path`` so that a reader, also one after a crash, sees either the old bytes or all of the new ones."""
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _fsync(path.parent)


def publish_directory(temporary: Path, final: Path) -> None:
    """Make the finished folder ``temporary`` appear as ``final``, durably and at once.

    ``final`` is named by its content, so one that exists already is as good, and ``temporary`` is dropped. Both must
    lie on the same file system.
    """
    for folder, _folders, files in os.walk(temporary):
        for file in files:
            _fsync(Path(folder, file))
        _fsync(Path(folder))
    final.parent.mkdir(parents=True, exist_ok=True)
    os.utime(temporary)  # however long it took to fill: by this time it is told when the folder was used last
    try:
        temporary.rename(final)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
        shutil.rmtree(temporary)
    _fsync(final.parent)
    _fsync(final.parent.parent)


@contextmanager
def temporary_directory_beside(final: Path) -> Iterator[Path]:
    """A folder next to ``final`` (so on the same file system) to fill and then publish; gone at the end if it was not.

    Folders of this kind whose process was killed are removed on the way. A living process is told apart by the lock
    that it holds on its folder: the kernel drops that lock however the process ends.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(final.parent)
    path, lock = _locked_directory(final.parent)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def aside(path: Path) -> Path:
    """A name beside ``path`` under which nobody looks, and which is swept unless a living process has it locked."""
    return path.with_name(f"{_TEMPORARY}{secrets.token_hex(8)}")


@contextmanager
def removal() -> Iterator[Callable[[Path], None]]:
    """Take files and folders away together with their rows: out of sight in the block, gone for good after it.

    The block's end is the commit. Where it raises, everything is put back; where the process is killed in it, the next
    :func:`temporary_directory_beside` at that place removes what was taken away.
    """
    with ExitStack() as stack:
        taken: list[tuple[Path, Path]] = []

        def take(path: Path) -> None:
            if path.exists():
                hidden = stack.enter_context(temporary_directory_beside(path)) / path.name
                path.rename(hidden)
                taken.append((hidden, path))

        try:
            yield take
        except BaseException:
            for hidden, path in reversed(taken):
                hidden.rename(path)
            raise


def _locked_directory(parent: Path) -> tuple[Path, int]:
    while True:
        path = aside(parent / "new")
        path.mkdir()
        # Between mkdir and the lock another process may take the folder for an abandoned one: then once more.
        with contextlib.suppress(FileNotFoundError):
            lock = os.open(path, os.O_RDONLY)
            with contextlib.suppress(OSError):  # a file system without locks: nothing is swept there either
                fcntl.flock(lock, fcntl.LOCK_EX)
            if path.exists():
                return path, lock
            os.close(lock)


def _remove_abandoned(parent: Path) -> None:
    for path in parent.glob(f"{_TEMPORARY}*"):
        with contextlib.suppress(FileNotFoundError):
            _remove_unless_locked(path)


def _remove_unless_locked(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path, ignore_errors=True)
    except OSError:
        return  # somebody works there
    finally:
        os.close(descriptor)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
