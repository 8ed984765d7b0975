"""Near-identical images: a perceptual hash finds the pairs, small versions of both images confirm them.

The hash is pHash (Zauner 2010): the signs of low frequencies. By itself it takes plain images and drawings on a plain
ground for one another; so the thumbnails themselves, 16 by 16 pixels in colour, must correlate and be as bright.
Found are copies that were packed anew, resized or brightened a little; not found are those that were cropped, turned
or mirrored.
"""

from collections.abc import Iterator
from typing import IO, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from worker.importing.duplicates.groups import Keys, Mask, Numbers
from worker.importing.duplicates.rows import ByteRows

_SIDE: Final = 16
_FREQUENCIES: Final = 8
_BYTES: Final = _SIDE * _SIDE * 3
_CHUNK: Final = 4096
MOST_BITS: Final = 4
"""Bits of 64 in which two hashes may differ; then at least four of their eight bytes are the same."""
_PAIRS: Final = ((0, 1), (0, 2), (1, 2), (3, 4), (3, 5), (4, 5), (6, 7))
"""Pairs of bytes; whichever four of the eight are the same, both of some pair are among them."""
LEAST_CORRELATION: Final = 0.99
MOST_DIFFERENCE: Final = 20.0
"""Mean difference of two thumbnails, of 255 levels."""
_PLAIN: Final = 4.0
"""Deviation of the levels below which an image has nothing to compare: only copies to the bit count then."""
_GREY: Final = np.array([0.299, 0.587, 0.114], np.float32)
_CHANNELS: Final = np.tile(np.eye(3, dtype=np.float32), _SIDE * _SIDE)
"""Which of a row's 768 levels are of which channel, float32 [3, 768]."""


def thumbnail(image: Image.Image) -> bytes:
    """A small version of an RGB image, whatever its shape, as the bytes of one row."""
    return image.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR).tobytes()


class Thumbnails:
    """Takes thumbnails as they come: 768 bytes of each image, which go to ``file``."""

    def __init__(self, file: IO[bytes]) -> None:
        self._rows = ByteRows(file, _BYTES)

    def add(self, thumbnail: bytes) -> None:
        """Take the next one."""
        self._rows.append(thumbnail)

    def likeness(self, first: Numbers) -> "ImageLikeness":
        """Compare the images of these numbers."""
        return ImageLikeness(self._rows.matrix(), first)


class ImageLikeness:
    """See :class:`worker.importing.duplicates.groups.Likeness`; ``rows`` is uint8 [images, 768], of which ``first``."""

    def __init__(self, rows: NDArray[np.uint8], first: Numbers) -> None:
        self._rows, self._first = rows, first
        parts = [first[start : start + _CHUNK] for start in range(0, len(first), _CHUNK)]
        self._hashes = np.concatenate([_hashed(rows[part]) for part in parts])

    def orders(self) -> Iterator[tuple[Keys, int]]:
        """One for a pair of bytes of the hash: only images that share both are compared."""
        whole = self._hashes.view(np.uint8).reshape(-1, 8)
        for pair in _PAIRS:
            columns = [*pair, *(column for column in range(8) if column not in pair)]
            yield np.ascontiguousarray(whole[:, columns]).view(">u8")[:, 0].astype(np.uint64), 16

    def likely(self, one: Numbers, other: Numbers) -> Mask:
        """Whether hashes and thumbnails say that two images are the same."""
        alike: Mask = np.bitwise_count(self._hashes[one] ^ self._hashes[other]) <= MOST_BITS
        close = np.flatnonzero(alike)
        for start in range(0, len(close), _CHUNK):
            part = close[start : start + _CHUNK]
            alike[part] = _same(self._levels(one[part]), self._levels(other[part]))
        return alike

    def certain(self, one: int, other: int) -> bool:  # noqa: ARG002 - as the protocol has it
        """True: a pair is compared in full where it is likely."""
        return True

    def _levels(self, contents: Numbers) -> NDArray[np.float32]:
        return self._rows[self._first[contents]].astype(np.float32)


def _same(one: NDArray[np.float32], other: NDArray[np.float32]) -> Mask:
    """Whether thumbnails, float32 [n, 768] of 0 to 255, show the same."""
    first, second = _centred(one), _centred(other)
    products = np.einsum("nk,nk->n", first, second)
    squares = np.einsum("nk,nk->n", first, first), np.einsum("nk,nk->n", second, second)
    correlated = products >= LEAST_CORRELATION * np.sqrt(squares[0] * squares[1])
    plain = np.minimum(*squares) < _PLAIN**2 * _BYTES
    same: Mask = correlated & ~plain & (np.abs(one - other).mean(axis=1) <= MOST_DIFFERENCE)
    return same


def _centred(levels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Without each channel's mean, so that a common tint is no likeness."""
    means = levels @ _CHANNELS.T / (_SIDE * _SIDE)
    return (levels - means @ _CHANNELS).astype(np.float32, copy=False)


def _hashed(rows: NDArray[np.uint8]) -> Keys:
    """The perceptual hash of each thumbnail, uint64 [n]."""
    grey = rows.reshape(-1, _SIDE, _SIDE, 3).astype(np.float32) @ _GREY
    waves = _cosines()
    low = (waves @ grey @ waves.T).reshape(len(rows), -1)
    low[:, 0] = 0.0  # the mean brightness
    bits = low > np.median(low[:, 1:], axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(np.uint64)[:, 0]


def _cosines() -> NDArray[np.float32]:
    """The lowest frequencies of a cosine transform (DCT-II), float32 [8, 16]."""
    places = (np.arange(_SIDE) + 0.5) * np.pi / _SIDE
    return np.cos(np.arange(_FREQUENCIES)[:, None] * places).astype(np.float32)
