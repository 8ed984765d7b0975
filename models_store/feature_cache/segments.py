"""A segment: the features of some items in one file, immutable, and either exactly what was written or damaged.

Layout, little-endian: ``finfeat1``, SHA-256 of all that follows, rows and width as uint64, the items' SHA-256 (32 bytes
a row), the features as float32 [rows, width].
"""

import hashlib
import struct
from pathlib import Path
from typing import Any, Final

import numpy as np

Items = np.ndarray[Any, np.dtype[np.bytes_]]
"""[N] of 32 bytes each: SHA-256 of the items' contents."""
Features = np.ndarray[Any, np.dtype[np.float32]]
"""[N, width]."""

_MAGIC: Final = b"finfeat1"
_HEAD: Final = struct.Struct("<8s32s")
_SIZES: Final = struct.Struct("<QQ")
_ITEM: Final = np.dtype("S32")  # compares and sorts as 32 plain bytes
_FLOAT: Final = np.dtype("<f4")


class DamagedError(Exception):
    """The file is not what was written."""


def items_of(hashes: list[str]) -> Items:
    """Hexadecimal SHA-256 as a segment holds them."""
    return np.frombuffer(bytes.fromhex("".join(hashes)), dtype=_ITEM)


def pack(items: Items, features: Features) -> bytes:
    """The file's bytes."""
    rows, width = features.shape
    body = b"".join((_SIZES.pack(rows, width), items.astype(_ITEM).tobytes(), features.astype(_FLOAT).tobytes()))
    return _HEAD.pack(_MAGIC, hashlib.sha256(body).digest()) + body


def read_items(path: Path, width: int) -> Items:
    """Which items a segment claims to hold: enough to pass over it, not to trust it.

    Raises:
        DamagedError: it cannot be a segment of this width.
        OSError: it is gone, or cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD.size + _SIZES.size)
        rows = _rows(head, width, path.stat().st_size)
        return np.frombuffer(file.read(rows * _ITEM.itemsize), dtype=_ITEM)


def read(path: Path, width: int) -> tuple[Items, Features]:
    """All of a segment, checked to the last bit.

    Raises:
        DamagedError: it is not what was written, or not of this width.
        OSError: it is gone, or cannot be read.
    """
    data = path.read_bytes()
    rows = _rows(data[: _HEAD.size + _SIZES.size], width, len(data))
    body = memoryview(data)[_HEAD.size :]
    if hashlib.sha256(body).digest() != _HEAD.unpack_from(data)[1]:
        raise DamagedError(path)
    items = np.frombuffer(body, dtype=_ITEM, count=rows, offset=_SIZES.size)
    features = np.frombuffer(body, dtype=_FLOAT, offset=_SIZES.size + items.nbytes)
    return items, features.reshape(rows, width)


def _rows(head: bytes, width: int, size: int) -> int:
    if len(head) != _HEAD.size + _SIZES.size or not head.startswith(_MAGIC):
        raise DamagedError(f"{len(head)} bytes that begin no segment")
    rows, stored = _SIZES.unpack_from(head, _HEAD.size)
    if stored != width or size != len(head) + rows * (_ITEM.itemsize + width * _FLOAT.itemsize):
        raise DamagedError(f"{rows} rows of {stored} in {size} bytes")
    return int(rows)
