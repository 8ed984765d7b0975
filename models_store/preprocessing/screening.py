"""What some bytes of an image file could make of hours and gigabytes: refused before, or while, a decoder reads it.

Pillow bounds much by itself (texts of PNGs, tags of EXIF), and the cap on pixels the rest, but for what is here.
"""

import re
import struct
from collections.abc import Iterator
from io import BytesIO
from typing import Final

MAX_SCANS: Final = 50
"""Of a progressive JPEG: each may go over all pixels. Encoders make about ten. (Of JPEGs in TIFFs, libtiff counts.)"""
_MAX_SEGMENTS: Final = 10_000
_MAX_OPENING_READS: Final = 10_000
_MAX_READS: Final = 1_000_000
_MAX_STRIPS: Final = 65_536
"""An object is made of each, whether there are pixels for it or not."""
_MAX_VALUES: Final = 200_000
"""Of one tag, each of which becomes an object: a 16-bit colour map has nearly as many."""
_STRIPS: Final = frozenset({273, 279, 324, 325})
_TILE_SIDES: Final = (322, 323)
_SHORT: Final = 3
_OF_BYTES: Final = frozenset({1, 2, 6, 7})
# A byte 0xFF before what is neither stuffing, filling, TEM, a restart nor a start: those have no length.
_SEGMENT: Final = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]", re.DOTALL)
_END, _SCAN = 0xD9, 0xDA


class Reads(BytesIO):
    """A file that can be read so often: Pillow's own parsers take a piece at a time, some of them a byte.

    The reading of what comes before the pixels is bounded first; :meth:`opened` says that it has ended.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._left = _MAX_OPENING_READS

    def opened(self) -> None:
        """Pixels are read from here on."""
        self._left = _MAX_READS

    def read(self, size: int | None = -1, /) -> bytes:
        """See :class:`io.BytesIO`.

        Raises:
            ValueError: once too often.
        """
        self._left -= 1
        if self._left < 0:
            raise ValueError("an image in too many pieces")
        return super().read(size)


def screen(content: bytes, *, max_pixels: int) -> None:
    """Look for it in the formats that can have it.

    Raises:
        ValueError: this is no honest image.
    """
    if content.startswith(b"\xff\xd8"):
        _screen_jpeg(content)
    elif content.startswith((b"II", b"MM")):
        _screen_tiff(content, max_pixels)


def _screen_jpeg(content: bytes) -> None:
    """Count the scans up to the end of the (first) image; what is behind it nobody reads."""
    scans = segments = 0
    place = 2
    while found := _SEGMENT.search(content, place):
        marker = content[found.end() - 1]
        if marker == _END:
            return
        scans += marker == _SCAN
        segments += 1
        if scans > MAX_SCANS or segments > _MAX_SEGMENTS:
            raise ValueError("a JPEG with too many scans")
        place = found.end() + int.from_bytes(content[found.end() : found.end() + 2])


def _screen_tiff(content: bytes, max_pixels: int) -> None:
    """Look at the first directory, as Pillow finds it; a broken one is Pillow's to refuse."""
    sides = [0, 0]
    for tag, kind, count, number in _tags(content):
        if kind not in _OF_BYTES and count > (_MAX_STRIPS if tag in _STRIPS else _MAX_VALUES):
            raise ValueError("a TIFF with too many strips or values")
        if tag in _TILE_SIDES:
            place = _TILE_SIDES.index(tag)
            sides[place] = max(sides[place], number)  # a tag may come twice
    if sides[0] * sides[1] > max_pixels:
        raise ValueError("a TIFF whose tiles are larger than an image may be")


def _tags(content: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Number, type and count of every tag, and its value where that is one number of 16 or 32 bits."""
    order = "<" if content.startswith(b"II") else ">"
    big = content[2:3] == b"+"
    where, how_many, entry = ("Q", "Q", "HHQ8s") if big else ("I", "H", "HHI4s")
    try:
        (start,) = struct.unpack_from(order + where, content, 8 if big else 4)
        (entries,) = struct.unpack_from(order + how_many, content, start)
        first, size = start + struct.calcsize(order + how_many), struct.calcsize(order + entry)
        for place in range(min(entries, _MAX_OPENING_READS)):
            tag, kind, count, raw = struct.unpack_from(order + entry, content, first + place * size)
            yield tag, kind, count, struct.unpack_from(order + ("H" if kind == _SHORT else "I"), raw)[0]
    except (struct.error, OverflowError):
        return
