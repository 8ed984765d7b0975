"""A zip that is sent while it is made: nothing is compressed, and nothing is held but the chunk on its way."""

import io
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class Member:
    """A file of the archive; ``size`` bytes that come in chunks."""

    name: str
    size: int
    content: Callable[[], Iterable[bytes]]

    @classmethod
    def of(cls, name: str, content: bytes) -> "Member":
        """A small file that is here already."""
        return cls(name, len(content), lambda: [content])


def stream(members: Sequence[Member], made: float) -> Iterator[bytes]:
    """The bytes of the archive; ``made`` (seconds since 1970) dates its files."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for member in members:
            with archive.open(_info(member, made), "w") as file:
                for chunk in member.content():
                    file.write(chunk)
                    yield sink.taken()
    yield sink.taken()


def _info(member: Member, made: float) -> zipfile.ZipInfo:
    when = datetime.fromtimestamp(made, UTC)
    info = zipfile.ZipInfo(member.name, (when.year, when.month, when.day, when.hour, when.minute, when.second))
    info.file_size = member.size  # tells zipfile where 64-bit sizes are needed
    info.external_attr = 0o644 << 16
    return info


class _Sink(io.RawIOBase):
    """A file that cannot be sought, so that zipfile writes sizes behind the contents, as streaming needs it."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: bytes, /) -> int:  # type: ignore[override]  # zipfile writes bytes
        """Keep until taken."""
        self._parts.append(data)
        return len(data)

    def taken(self) -> bytes:
        """What was written since the last time."""
        parts, self._parts = self._parts, []
        return b"".join(parts)
