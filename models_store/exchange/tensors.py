"""``model.safetensors`` of a download, put together from the stored files without ever holding more than a chunk.

The format is eight bytes with the length of a JSON header, the header, and the tensors one after the other; see
https://github.com/huggingface/safetensors#format. So trunk and head become one file by a new header alone.
"""

import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

CHUNK: Final = 2**20
_WIDTHS: Final = {"64": 8, "32": 4, "16": 2}
"""Bytes a value, by the digits that a type's name ends in; all others take at most one."""


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor's bytes are, in a file or, where it was computed, here."""

    name: str
    dtype: str
    """safetensors' name of it, such as ``F32``."""
    shape: tuple[int, ...]
    size: int
    """In bytes."""
    path: Path | None = None
    offset: int = 0
    content: bytes = b""

    def renamed(self, name: str) -> "StoredTensor":
        """The same tensor under another name."""
        return StoredTensor(name, self.dtype, self.shape, self.size, self.path, self.offset, self.content)


def stored_tensors(path: Path) -> list[StoredTensor]:
    """What a safetensors file holds, in the order of its bytes; the tensors themselves are not read."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    found = [
        StoredTensor(name, entry["dtype"], tuple(entry["shape"]), end - begin, path, 8 + length + begin)
        for name, entry in header.items()
        for begin, end in [entry["data_offsets"]]
    ]
    return sorted(found, key=lambda tensor: tensor.offset)


def computed_tensor(name: str, shape: tuple[int, ...], float32: bytes) -> StoredTensor:
    """A float32 tensor that is in no file."""
    return StoredTensor(name, "F32", shape, len(float32), content=float32)


def as_safetensors(tensors: Sequence[StoredTensor]) -> Iterator[bytes]:
    """The bytes of a safetensors file with these tensors, in chunks."""
    ordered = _ordered(tensors)
    yield _header(ordered)
    for tensor in ordered:
        yield from chunks(tensor)


def safetensors_size(tensors: Sequence[StoredTensor]) -> int:
    """Bytes of what :func:`as_safetensors` gives."""
    return len(_header(_ordered(tensors))) + sum(tensor.size for tensor in tensors)


def _ordered(tensors: Sequence[StoredTensor]) -> list[StoredTensor]:
    """Wide types first, as the library writes them: so every tensor lies where its type may lie."""
    return sorted(tensors, key=lambda tensor: -_width(tensor.dtype))


def chunks(tensor: StoredTensor) -> Iterator[bytes]:
    """The bytes of one tensor.

    Raises:
        OSError: its file is gone or too short.
    """
    if tensor.path is None:
        yield tensor.content
        return
    with tensor.path.open("rb") as file:
        file.seek(tensor.offset)
        yield from _read(file, tensor.size)


def _read(file: BinaryIO, left: int) -> Iterator[bytes]:
    while left:
        chunk = file.read(min(CHUNK, left))
        if not chunk:
            raise OSError("a file of the store is cut off")
        left -= len(chunk)
        yield chunk


def _header(tensors: Sequence[StoredTensor]) -> bytes:
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    begin = 0
    for tensor in tensors:
        end = begin + tensor.size
        header[tensor.name] = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [begin, end]}
        begin = end
    described = json.dumps(header, separators=(",", ":")).encode()
    described += b" " * (-len(described) % 8)
    return struct.pack("<Q", len(described)) + described


def _width(dtype: str) -> int:
    return _WIDTHS.get(dtype[-2:], 1)
