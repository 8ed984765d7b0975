"""Uploads as streams: a form with one file in it, of which no more than a piece is ever in memory."""

import json
import secrets
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

Progress = Callable[[int, int], None]
"""Is told how many bytes were sent, and of how many; for a folder the latter is an estimate."""

_PIECE: Final = 2**18
_ROWS: Final = 1000
_COLUMNS: Final = ("text", "label", "split")
_ENTRY_BYTES: Final = 30 + 16 + 46
"""Around each file of a zip, apart from its name, which stands there twice."""
_END_BYTES: Final = 22


class Frame(Protocol):
    """A table of pandas, polars, or whatever else gives its columns by name."""

    @property
    def columns(self) -> Iterable[Any]:
        """Their names."""

    def __getitem__(self, name: Any, /) -> Iterable[Any]:
        """The values of one."""


Data = str | Path | Frame
"""A zip, CSV, JSONL or folder by its path; or a table with the columns ``text``, ``label`` and perhaps ``split``."""


@dataclass(frozen=True)
class Source:
    """A file's name, its bytes, which can be read again, and how many there are: ``exact`` or about so."""

    filename: str
    pieces: Callable[[], Iterator[bytes]]
    size: int
    exact: bool

    @property
    def stem(self) -> str:
        """What it is called where nothing else is said."""
        return Path(self.filename).stem


@dataclass(frozen=True)
class Body:
    """A request's body that can be sent again from its start."""

    content_type: str
    pieces: Callable[[], Iterator[bytes]]
    size: int
    exact: bool
    on_progress: Progress | None = None

    @property
    def headers(self) -> dict[str, str]:
        """What the request must say of it."""
        length = {"Content-Length": str(self.size)} if self.exact else {"Transfer-Encoding": "chunked"}
        return {"Content-Type": self.content_type, **length}

    def told(self, sent: int, *, ended: bool = False) -> None:
        """Report progress to whoever wants it."""
        if self.on_progress is not None:
            self.on_progress(sent, sent if ended else max(sent, self.size))


def form(source: Source, fields: dict[str, Any], on_progress: Progress | None = None) -> Body:
    """A multipart form: the fields, then the file."""
    boundary = secrets.token_hex(16)
    parts = [_head(boundary, f'name="{name}"') + f"{value}\r\n".encode() for name, value in fields.items()]
    head = b"".join(parts) + _head(boundary, f'name="file"; filename="{_quoted(source.filename)}"')
    tail = f"\r\n--{boundary}--\r\n".encode()

    def pieces() -> Iterator[bytes]:
        yield head
        yield from source.pieces()
        yield tail

    size = len(head) + source.size + len(tail)
    return Body(f"multipart/form-data; boundary={boundary}", pieces, size, source.exact, on_progress)


def _head(boundary: str, disposition: str) -> bytes:
    return f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode()


def _quoted(name: str) -> str:
    """As browsers write it."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def source_of(data: Data, name: str | None = None) -> Source:
    """What is sent for a file, a folder (zipped while it is sent, without compression), or a table (as JSON Lines).

    Raises:
        FileNotFoundError: there is neither a file nor a folder of that name.
        ValueError: the table has no columns ``text`` and ``label``.
    """
    if not isinstance(data, str | Path):
        return _of_frame(data, f"{name or 'table'}.jsonl")
    path = Path(data)
    if path.is_dir():
        return _of_folder(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file or folder {path}. Check the path.")
    return Source(path.name, lambda: _read(path), path.stat().st_size, exact=True)


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece


def _of_folder(folder: Path) -> Source:
    files = [(file, file.relative_to(folder).as_posix()) for file in sorted(folder.rglob("*")) if file.is_file()]
    size = sum(file.stat().st_size + _ENTRY_BYTES + 2 * len(name.encode()) for file, name in files) + _END_BYTES
    return Source(f"{folder.resolve().name or 'folder'}.zip", lambda: _zipped(files), size, exact=False)


class _Sink:
    """Where a zip is written to and taken from in turn; not seekable, so that nothing already sent is changed."""

    def __init__(self) -> None:
        self._written: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._written.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """The zip ends; what is left is taken afterwards."""

    def taken(self) -> Iterator[bytes]:
        written, self._written = self._written, []
        if written:
            yield b"".join(written)


def _zipped(files: list[tuple[Path, str]]) -> Iterator[bytes]:
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", strict_timestamps=False) as archive:
        for file, name in files:
            entry = zipfile.ZipInfo.from_file(file, name, strict_timestamps=False)
            with archive.open(entry, "w") as target:
                for piece in _read(file):
                    target.write(piece)
                    yield from sink.taken()
    yield from sink.taken()


def _of_frame(frame: Frame, filename: str) -> Source:
    there = [str(name) for name in frame.columns]
    if not {"text", "label"} <= set(there):
        raise ValueError(f"The table has the columns {there}. It must have 'text' and 'label', and may have 'split'.")
    columns: list[str] = [name for name in _COLUMNS if name in there]
    size = sum(map(len, _lines(frame, columns)))
    return Source(filename, lambda: _lines(frame, columns), size, exact=True)


def _lines(frame: Frame, columns: list[str]) -> Iterator[bytes]:
    lines: list[str] = []
    for row in zip(*(frame[name] for name in columns), strict=True):
        lines.append(json.dumps(dict(zip(columns, map(_cell, row), strict=True)), ensure_ascii=False) + "\n")
        if len(lines) == _ROWS:
            yield "".join(lines).encode()
            lines = []
    yield "".join(lines).encode()


def _cell(value: object) -> str:
    """As text; what a table has for nothing (None, NaN, NA) is the empty one, which the import reports."""
    missing = value is None or type(value).__name__ in {"NAType", "NaTType"} or bool(value != value)
    return "" if missing else str(value)
