"""Zip archives of strangers: nothing they declare is believed, and nothing is written under their names."""

import io
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from models_store.errors import InvalidError
from worker.importing.candidates import Desk
from worker.importing.limits import ImportLimits
from worker.importing.names import decoded_names
from worker.importing.paths import is_litter, split_path
from worker.importing.problems import BadItemError

_ENTRY: Final = b"PK\x01\x02"
_ENTRY_BYTES: Final = 256
_LOCAL_HEADER_BYTES: Final = 30
_ENCRYPTED: Final = 0x1 | 0x40 | 0x2000
# bzip2 and LZMA unpack without bound inside one call of the standard library, and nobody packs pictures with them.
_METHODS: Final = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_ZIP_ERRORS: Final = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, RuntimeError, OverflowError)


@dataclass(frozen=True, slots=True)
class Member:
    """A file of the archive that may be read; ``parts`` is its path, normalised to NFC."""

    parts: tuple[str, ...]
    info: zipfile.ZipInfo

    @property
    def name(self) -> str:
        """Its path as one string."""
        return "/".join(self.parts)


class Archive:
    """The readable files of a zip archive; those that are refused are listed as problems.

    Litter of operating systems (``__MACOSX``, ``.DS_Store``, hidden files, …) is passed over in silence.

    Raises:
        InvalidError: (from everything) ``archive_bomb``, ``dataset_too_large``.
    """

    def __init__(self, archive: zipfile.ZipFile, packed_bytes: int, desk: Desk) -> None:
        self._archive, self._packed_bytes, self._limits = archive, packed_bytes, desk.limits
        self._unpacked_bytes = 0
        _refuse_overlaps(archive)
        self.members = list(_readable(archive, desk))

    @contextmanager
    def open(self, member: Member) -> Iterator["MemberStream"]:
        """Stream a member, counting what it really unpacks to.

        Raises:
            BadItemError: (also from the stream) ``corrupt_member``.
        """
        with _corruption_told():
            stream = self._archive.open(member.info)
        with stream:
            yield MemberStream(self, member, stream)

    def read(self, member: Member) -> bytes:
        """All bytes of a small member.

        Raises:
            BadItemError: ``corrupt_member`` or ``item_too_large``.
        """
        limit = self._limits.item_bytes
        with self.open(member) as stream:
            content = stream.read(min(limit, member.info.file_size) + 1)
        if len(content) > limit:
            raise BadItemError("item_too_large", f"The file has more than {limit:,} bytes. Send a smaller one.")
        return content

    def read_again(self, member: Member) -> bytes:
        """All bytes of a member that was read before, so that nothing is counted twice."""
        with _corruption_told():
            return self._archive.read(member.info)

    def count(self, member: Member, member_bytes: int, more: int) -> None:
        """Count ``more`` unpacked bytes, which make ``member_bytes`` of one member."""
        self._unpacked_bytes += more
        if _is_bomb(member_bytes, member.info.compress_size, self._limits):
            raise _bomb(f"{member.name!r} unpacks to far more than its size")
        if _is_bomb(self._unpacked_bytes, self._packed_bytes, self._limits):
            raise _bomb("it unpacks to far more than its size")
        if self._unpacked_bytes > self._limits.total_bytes:
            raise InvalidError(
                "dataset_too_large",
                f"The archive unpacks to more than {self._limits.total_bytes:,} bytes. Send a smaller set.",
            )


class MemberStream:
    """A member that is being unpacked."""

    def __init__(self, archive: Archive, member: Member, stream: IO[bytes]) -> None:
        self._archive, self._member, self._stream = archive, member, stream
        self.position = 0

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes; fewer only at the end."""
        with _corruption_told():
            return self._counted(self._stream.read(size))

    def readline(self, limit: int) -> bytes:
        """At most ``limit`` bytes, up to the next line's start."""
        with _corruption_told():
            return self._counted(self._stream.readline(limit))

    def _counted(self, data: bytes) -> bytes:
        self.position += len(data)
        self._archive.count(self._member, self.position, len(data))
        return data


@contextmanager
def open_archive(upload: Path, desk: Desk) -> Iterator[Archive]:
    """Open a zip file and check its directory.

    Raises:
        InvalidError: ``unreadable_archive``, ``too_many_files`` or ``archive_bomb``.
    """
    with _DirectoryGuard(io.FileIO(upload), desk.limits.files) as file:
        try:
            archive = zipfile.ZipFile(file)
        except _ZIP_ERRORS as error:
            raise InvalidError(
                "unreadable_archive", f"Not a whole zip archive ({error}). Make it anew, then upload it again."
            ) from error
        file.guarding = False
        with archive:
            yield Archive(archive, upload.stat().st_size, desk)


class _DirectoryGuard(io.BufferedReader):
    """Bounds the archive's directory, which ``zipfile`` reads at one go, before an object is made of every entry."""

    def __init__(self, raw: io.FileIO, files: int) -> None:
        super().__init__(raw)
        self._files = files
        self.guarding = True

    def read(self, size: int | None = -1, /) -> bytes:
        if not self.guarding or size is None or size < 0:
            return super().read(size)
        most = max(self._files * _ENTRY_BYTES, 2**17)
        data = super().read(min(size, most + 1))
        if len(data) > most or data.count(_ENTRY) > self._files:
            raise InvalidError(
                "too_many_files", f"The archive has more than {self._files:,} entries. Send a smaller set."
            )
        return data


def _readable(archive: zipfile.ZipFile, desk: Desk) -> Iterator[Member]:
    seen: set[tuple[str, ...]] = set()
    for info, name in zip(archive.infolist(), decoded_names(archive.infolist()), strict=True):
        if name.endswith("/"):
            continue
        try:
            parts = split_path(unicodedata.normalize("NFC", name))
            if is_litter(parts):
                continue
            _check_entry(info)
            if parts in seen:
                raise BadItemError("duplicate_name", "Another file has the same path. Give each its own.")
        except BadItemError as error:
            desk.problems.refuse(name or "(no name)", error)
        else:
            seen.add(parts)
            yield Member(parts, info)


def _check_entry(info: zipfile.ZipInfo) -> None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        raise BadItemError("symlink", "Links are not followed. Put the file itself into the archive.")
    if kind not in {0, stat.S_IFREG}:
        raise BadItemError("not_a_file", "Neither a file nor a folder. Leave it out.")
    if info.flag_bits & _ENCRYPTED:
        raise BadItemError("encrypted", "The file is encrypted. Make the archive without a password.")
    if info.compress_type not in _METHODS:
        raise BadItemError("unsupported_compression", "Packed by a rare method. Make the archive with plain deflate.")


def _refuse_overlaps(archive: zipfile.ZipFile) -> None:
    """Members that share bytes are how a small archive unpacks to petabytes; no honest archive has them."""
    entries = sorted(archive.infolist(), key=lambda info: info.header_offset)
    end = 0
    for info in entries:
        if 0 <= info.header_offset < end:
            raise _bomb("its files overlap")
        end = info.header_offset + _LOCAL_HEADER_BYTES + info.compress_size
    if end > archive.start_dir or (entries and entries[0].header_offset < 0):
        raise InvalidError("unreadable_archive", "The zip archive is cut off or damaged. Make it anew, then upload it.")


def _is_bomb(unpacked: int, packed: int, limits: ImportLimits) -> bool:
    return unpacked > limits.ratio_free_bytes and unpacked > limits.ratio * packed


def _bomb(reason: str) -> InvalidError:
    return InvalidError("archive_bomb", f"The archive is refused: {reason}. Make it anew from the plain files.")


@contextmanager
def _corruption_told() -> Iterator[None]:
    try:
        yield
    except _ZIP_ERRORS as error:
        raise BadItemError("corrupt_member", "The archive is damaged at this file. Pack it again.") from error
