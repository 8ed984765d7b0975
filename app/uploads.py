"""Uploads: a multipart body goes to the data disk while it comes, hashed on the way, and never whole into memory.

A file that is being received is locked. The lock dies with its process, so what a crash leaves behind is told apart
from what another process is still receiving.
"""

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path, PurePosixPath
from typing import Final

import structlog
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from sqlalchemy import select
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from app.multipart import FormReader, malformed
from models_store import ids
from models_store.database.engine import Database
from models_store.database.tables import DatasetRow
from models_store.errors import InvalidError, UnavailableError
from models_store.usage import Room

_BUFFER: Final = 1 << 20
_AROUND: Final = 1 << 20
"""Bytes of a body that are no part of its file: far more than fields can have."""
_ANY: Final = Room()
_log = structlog.get_logger()


@dataclass
class Upload:
    """One file and the fields beside it. ``keep`` makes the file outlive the block that received it."""

    path: Path
    file: FileIO
    """Unbuffered, so that closing it writes nothing and cannot fail on a full disk."""
    filename: str | None = None
    fields: dict[str, str] = field(default_factory=dict)
    size: int = 0
    """Bytes."""
    room: Room = field(default_factory=Room)
    """How much its owner may still store."""
    kept: bool = False
    _hash: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    @property
    def sha256(self) -> str:
        """Hash of the file's content."""
        return self._hash.hexdigest()

    def write(self, data: bytes) -> None:
        """Append to the file.

        Raises:
            TooManyError: ``storage_quota``.
            UnavailableError: ``no_space``.
        """
        self.room.check(self.size + len(data))
        left = memoryview(data)
        with disk_errors():
            while left:
                left = left[self.file.write(left) :]
        self._hash.update(data)
        self.size += len(data)

    def sync(self) -> None:
        """Make the file and its name durable."""
        with disk_errors():
            os.fsync(self.file.fileno())
            directory = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)

    def give_suffix(self, suffix: str) -> None:
        """Give the file's opaque name a suffix."""
        self.path = self.path.rename(self.path.with_suffix(suffix))

    def keep(self) -> None:
        """A row names the file now."""
        self.kept = True


@contextmanager
def opened(directory: Path, room: Room = _ANY) -> Iterator[Upload]:
    """A new locked file under an opaque name; removed at the end unless it is kept."""
    with disk_errors():
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        upload = _create(directory)
    upload.room = room
    with upload.file:
        try:
            yield upload
        finally:
            if not upload.kept:
                upload.path.unlink(missing_ok=True)


def _create(directory: Path) -> Upload:
    while True:
        path = directory / ids.new("up")
        handle = FileIO(path, "xb")
        fcntl.flock(handle, fcntl.LOCK_EX)
        if path.exists():  # else another process's remove_leftovers was quicker than our lock
            return Upload(path, handle)
        handle.close()


async def receive(request: Request, upload: Upload) -> None:
    """Read a multipart body with exactly one file, in the field ``file``.

    Raises:
        InvalidError: ``malformed_multipart``, ``multipart_expected``, ``missing_file``, ``duplicate_field``.
        TooLargeError: ``too_many_parts``, ``field_too_large``.
        TooManyError: ``storage_quota``; by the declared length, before anything is read.
        UnavailableError: ``no_space``.
    """
    upload.room.check(int(request.headers.get("content-length", _AROUND)) - _AROUND)
    kind, parameters = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data" or not parameters.get(b"boundary"):
        raise InvalidError("multipart_expected", "Send the file as multipart/form-data, in the field `file`.")
    reader = FormReader()
    try:
        parser = MultipartParser(parameters[b"boundary"], reader.callbacks())
        async for chunk in request.stream():
            parser.write(chunk)
            if len(reader.waiting) >= _BUFFER:
                await run_in_threadpool(upload.write, reader.take())
        parser.finalize()
    except (FormParserError, UnicodeDecodeError) as error:
        raise malformed() from error
    if not reader.ended:
        raise malformed()
    if reader.filename is None:
        raise InvalidError("missing_file", "There is no file. Send it in the field `file`.", param="file")
    await run_in_threadpool(upload.write, reader.take())
    await run_in_threadpool(upload.sync)
    upload.filename, upload.fields = reader.filename, reader.fields


def suffix(filename: str, allowed: Sequence[str]) -> str:
    """The suffix of what the client called the file, by which its kind is told.

    Raises:
        InvalidError: ``unsupported_file``.
    """
    found = PurePosixPath(filename).suffix.lower()
    if found not in allowed:
        raise InvalidError(
            "unsupported_file", f"The file's name must end in one of {', '.join(allowed)}. Convert it.", param="file"
        )
    return found


def remove_leftovers(database: Database, directory: Path) -> None:
    """Remove files that no data set names and nobody is receiving.

    The lock is taken before the rows are read: whoever held it before has committed by then, or has died.
    """
    for path in list(directory.iterdir()) if directory.is_dir() else []:
        try:
            with path.open("rb") as handle:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove_unnamed(database, path)
        except (BlockingIOError, FileNotFoundError, IsADirectoryError):
            continue


def _remove_unnamed(database: Database, path: Path) -> None:
    with database.read() as session:
        named = session.scalar(select(DatasetRow.id).where(DatasetRow.upload == path.name).limit(1))
    if named is None:
        path.unlink(missing_ok=True)
        _log.info("upload_removed", upload=path.name)


@contextmanager
def disk_errors() -> Iterator[None]:
    """Tell a full disk apart.

    Raises:
        UnavailableError: ``no_space``.
    """
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise UnavailableError(
                "no_space", "The data disk is full. Delete data sets or models, or ask the operator for space."
            ) from error
        raise
