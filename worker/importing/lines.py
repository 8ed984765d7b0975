"""Lines of a stranger's text file: strict UTF-8, none longer than the limit, numbered from 1."""

from typing import Protocol

from models_store.errors import InvalidError
from worker.importing.names import is_korean
from worker.importing.problems import BadItemError

_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")


class ByteLines(Protocol):
    """What lines are read from: a binary file or a member of an archive."""

    def readline(self, limit: int, /) -> bytes:
        """At most ``limit`` bytes, up to the next line's start; nothing at the end."""


class Lines:
    """Iterates over the lines with their line ends, and goes on after a line that was refused.

    Raises:
        BadItemError: (from the iteration) ``line_too_long``.
        InvalidError: (from the iteration) ``not_utf8``.
    """

    def __init__(self, stream: ByteLines, where: str, line_bytes: int) -> None:
        self._stream, self._where, self._limit = stream, where, line_bytes
        self.number = 0
        """Of the line that was given last."""
        self.position = 0
        """Bytes that were read so far."""

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        raw = self._read()
        if not raw:
            raise StopIteration
        self.number += 1
        if len(raw) > self._limit:
            self._skip_rest(raw)
            raise BadItemError("line_too_long", f"The line has more than {self._limit:,} bytes. Shorten it.")
        return self._decoded(raw.removeprefix(_BOM) if self.number == 1 else raw)

    def _read(self) -> bytes:
        raw = self._stream.readline(self._limit + 1)
        self.position += len(raw)
        return raw

    def _skip_rest(self, raw: bytes) -> None:
        while raw and not raw.endswith(b"\n"):
            raw = self._read()

    def _decoded(self, raw: bytes) -> str:
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InvalidError(
                "not_utf8",
                f"Line {self.number} of {self._where} is not UTF-8 ({self._guessed(raw) or error.reason}). "
                "Save the file as UTF-8; spreadsheets call it CSV UTF-8.",
                param="file",
            ) from error

    def _guessed(self, raw: bytes) -> str:
        """What the line seems to be instead. It is only told: texts that were read wrongly would pass as good ones."""
        if self.number == 1 and raw.startswith(_UTF16_BOMS):
            return "it seems to be UTF-16"
        return "it seems to be CP949, Korean of Windows" if is_korean(raw) else ""
