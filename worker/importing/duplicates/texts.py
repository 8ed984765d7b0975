"""Near-identical texts: MinHash (Broder 1997) over trigrams of characters, then their Jaccard index itself.

Characters and not words, so that it holds for scripts without spaces as well.
"""

import hashlib
import unicodedata
from collections.abc import Callable, Iterator
from functools import cached_property, lru_cache
from typing import IO, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from worker.importing.duplicates.groups import Keys, Mask, Numbers
from worker.importing.duplicates.rows import ByteRows

ALIKE: Final = 0.9
"""Jaccard index of two texts' trigrams from which they count as near-identical."""
_WITH_ORDER: Final = 100
"""Characters from which longer shingles are compared as well."""
_LONG_ALIKE: Final = 0.7
"""What is left of the index of nine characters where edits bring that of three down to the threshold."""
_HASHES: Final = 64
_BAND: Final = 8
"""Hashes in one band: at the threshold 0.43 of the pairs share one, and 0.99 share one of the eight."""
_LIKELY: Final = 52
"""Hashes of 64 that must agree: 57.6 do on average at the threshold, with a deviation of 2.4."""
_KEPT: Final = 256
"""Trigrams that are sketched of a long text: those of the lowest hashes, which two near-identical texts share."""
_BATCH: Final = 65_536
"""Characters that are sketched at once."""
_CHUNK: Final = 65_536
_CACHED: Final = 64
_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)
Number = TypeVar("Number", np.uint32, np.uint64)
_FACTORS: Final = np.frombuffer(hashlib.shake_256(b"MinHash").digest(4 * _HASHES), "<u4") | np.uint32(1)
"""Odd, and the same for ever: a split that is drawn again must be the same."""


def normalised(text: str) -> str:
    """The text in NFC, without differences of case and of white space."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def digest(text: str) -> int:
    """64 bits of a hash of a normalised text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


class Bag:
    """Numbers, each as often as it comes."""

    def __init__(self, numbers: NDArray[np.uint64]) -> None:
        ordered = np.sort(numbers)
        starts = np.flatnonzero(_first_of_run(ordered))
        self._different = ordered[starts]
        self._counts = np.diff(starts, append=len(ordered))
        self._count = len(ordered)

    def jaccard(self, other: "Bag") -> float:
        """What two bags share, as a share of all that they hold: 1 for equal ones, 0 for disjoint ones."""
        _both, mine, theirs = np.intersect1d(self._different, other._different, assume_unique=True, return_indices=True)
        shared = int(np.minimum(self._counts[mine], other._counts[theirs]).sum())
        return shared / (self._count + other._count - shared)


class Shingles:
    """A normalised text as a bag of trigrams, and as one of nine characters each."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.trigrams = Bag(_trigrams(text))

    def alike(self, other: "Shingles") -> bool:
        """Whether two texts are near-identical.

        The index of trigrams decides. Long texts of few words (logs, genes) have the same trigrams whatever they
        say, so longer shingles must agree as well, as far as they do after edits that cost the trigrams that much.
        """
        if self.trigrams.jaccard(other.trigrams) < ALIKE:
            return False
        short = min(len(self._text), len(other._text)) < _WITH_ORDER
        return short or self._ninegrams.jaccard(other._ninegrams) >= _LONG_ALIKE

    @cached_property
    def _ninegrams(self) -> Bag:
        return Bag(_ninegrams(_trigrams(self._text)))


class TextSketches:
    """Sketches normalised texts as they come: 64 bytes of each, which go to ``file``."""

    def __init__(self, file: IO[bytes]) -> None:
        self._rows = ByteRows(file, _HASHES)
        self._waiting: list[str] = []
        self._characters = 0

    def add(self, text: str) -> None:
        """Take the next normalised text."""
        self._waiting.append(text)
        self._characters += len(text)
        if self._characters >= _BATCH:
            self._flush()

    def likeness(self, first: Numbers, text_of: Callable[[int], str]) -> "TextLikeness":
        """Compare the texts of these numbers; ``text_of`` reads one, normalised, by its number."""
        self._flush()
        return TextLikeness(self._rows.matrix(), first, text_of)

    def _flush(self) -> None:
        if self._waiting:
            self._rows.append(_sketched(self._waiting).tobytes())
        self._waiting, self._characters = [], 0


class TextLikeness:
    """See :class:`worker.importing.duplicates.groups.Likeness`; ``rows`` is uint8 [texts, 64], of which ``first``."""

    def __init__(self, rows: NDArray[np.uint8], first: Numbers, text_of: Callable[[int], str]) -> None:
        self._rows, self._first = rows, first
        self._shingles = lru_cache(_CACHED)(lambda content: Shingles(text_of(int(first[content]))))

    def orders(self) -> Iterator[tuple[Keys, int]]:
        """One a band: only texts that share all its hashes are compared."""
        for start in range(0, _HASHES, _BAND):
            yield self._rows[self._first, start : start + _BAND].copy().view(np.uint64)[:, 0], 64

    def likely(self, one: Numbers, other: Numbers) -> Mask:
        """Whether enough hashes agree."""
        agree = np.empty(len(one), np.int64)
        for start in range(0, len(one), _CHUNK):
            part = slice(start, start + _CHUNK)
            rows = self._rows[self._first[one[part]]] == self._rows[self._first[other[part]]]
            agree[part] = np.count_nonzero(rows, axis=1)
        return agree >= _LIKELY

    def certain(self, one: int, other: int) -> bool:
        """Whether the texts themselves are near-identical."""
        return self._shingles(one).alike(self._shingles(other))


def _trigrams(text: str) -> NDArray[np.uint64]:
    """The trigrams as numbers, 21 bits a character; a shorter text is one trigram with blanks."""
    points = np.frombuffer(text.ljust(3, "\0").encode("utf-32-le"), np.uint32).astype(np.uint64)
    return points[:-2] << np.uint64(42) | points[1:-1] << np.uint64(21) | points[2:]


def _ninegrams(trigrams: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Hashes of nine characters, from the trigrams of a text in their order."""
    first, second, third = trigrams[:-6], trigrams[3:-3], trigrams[6:]
    return (first * _SPREAD ^ second) * _SPREAD ^ third * np.uint64(0xBF58476D1CE4E5B9)


def _sketched(texts: list[str]) -> NDArray[np.uint8]:
    """The lowest hash of every text under each of 64 hash functions, cut to a byte, uint8 [texts, 64]."""
    hashes, lengths = _hashed(texts)
    starts = np.cumsum(lengths) - lengths
    sketches = np.empty((len(texts), _HASHES), np.uint8)
    mixed = np.empty_like(hashes)
    for place, factor in enumerate(_FACTORS):
        np.multiply(hashes, factor, out=mixed)
        mixed ^= mixed >> np.uint32(16)
        mixed *= np.uint32(0x7FEB352D)
        lowest = np.minimum.reduceat(mixed, starts)
        sketches[:, place] = lowest >> np.uint32(8) ^ lowest
    return sketches


def _hashed(texts: list[str]) -> tuple[NDArray[np.uint32], Numbers]:
    """Hashes of all trigrams, and how many each text has; of a long text the bottom alone."""
    if max(map(len, texts)) > _KEPT:
        parts = [_bottom(_mixed(_trigrams(text))) for text in texts]
        return np.concatenate(parts), np.array([len(part) for part in parts])
    padded = [text.ljust(3, "\0") for text in texts]
    lengths = np.fromiter(map(len, padded), np.int64, len(padded))
    joined = _mixed(_trigrams("".join(padded)))
    own = np.ones(len(joined) + 2, np.bool_)
    ends = np.cumsum(lengths)
    own[ends - 1] = own[ends - 2] = False  # trigrams that begin in one text and end in the next
    return joined[own[:-2]], lengths - 2


def _mixed(grams: NDArray[np.uint64]) -> NDArray[np.uint32]:
    mixed = grams * _SPREAD
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    return (mixed >> np.uint64(32)).astype(np.uint32)


def _bottom(hashes: NDArray[np.uint32]) -> NDArray[np.uint32]:
    return hashes if len(hashes) <= _KEPT else _distinct(hashes)[:_KEPT]


def _distinct(numbers: NDArray[Number]) -> NDArray[Number]:
    """The different ones, sorted; ``numpy.unique`` builds a table first, which takes some ten times as long."""
    ordered = np.sort(numbers)
    distinct: NDArray[Number] = ordered[_first_of_run(ordered)]
    return distinct


def _first_of_run(ordered: NDArray[Number]) -> NDArray[np.bool_]:
    return np.concatenate([[True], ordered[1:] != ordered[:-1]])
