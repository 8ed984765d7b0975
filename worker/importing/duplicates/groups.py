"""Groups of copies, found in n log n: only what stands close together in one of several sorted orders is compared.

The orders are bands of a locality-sensitive signature (Leskovec, Rajaraman, Ullman: Mining of Massive Datasets, 3.4);
comparing neighbours of a sorted order instead of whole buckets bounds the work also where everything looks alike
(Hernández, Stolfo: The Merge/Purge Problem, 1995).
"""

from collections.abc import Callable, Iterator
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
Mask = NDArray[np.bool_]
Keys = NDArray[np.uint64]

WINDOW: Final = 16
"""How many of the next ones in an order each content is compared with."""
ALONE: Final = -1
_LARGEST_SHARE: Final = 20
_SMALLEST_BOUND: Final = 10
_DISAPPOINTMENTS: Final = 3
"""Exact comparisons that may fail before a content is held to be one of a crowd that is alike, but no copy."""


class Likeness(Protocol):
    """How the different contents of an upload are compared; they are numbered from 0."""

    def orders(self) -> Iterator[tuple[Keys, int]]:
        """Sort keys, one a content, and how many of their upper bits two contents must share to be compared."""

    def likely(self, one: Numbers, other: Numbers) -> Mask:
        """Which pairs may be near-identical, by what was kept of them."""

    def certain(self, one: int, other: int) -> bool:
        """Whether a likely pair is near-identical indeed."""


def copies(digests: Keys, likeness: Callable[[Numbers], Likeness], progress: Callable[[], None]) -> Numbers:
    """Give the group of every item, or ``ALONE``.

    Items of one digest are in one group. Different contents are in one group when a chain of near-identical pairs
    joins them, but no group grows beyond a twentieth of the different contents (or ten): a film's frames, each like the
    next, or filled-in forms must not swallow the set. There the chain is cut.

    Args:
        digests: 64 bits of a hash of each content. Two different ones of a million share them once in 37 million sets.
        likeness: is given the number of one item for every different content.
        progress: is called often; what it raises ends the search.

    Returns:
        Numbers of groups, int64 [items]; the same whatever the order of the items, up to that order.
    """
    if not len(digests):
        return np.empty(0, np.int64)
    # Contents are numbered by the rank of their digest, so that nothing that follows knows the upload's order.
    contents, first, content_of = np.unique(digests, return_index=True, return_inverse=True)
    groups = _near(len(contents), likeness(first), progress)[content_of]
    sizes = np.bincount(groups, minlength=len(contents))
    return np.where(sizes[groups] > 1, groups, ALONE)


def _near(count: int, likeness: Likeness, progress: Callable[[], None]) -> Numbers:
    search = _Search(count, likeness)
    for keys, bits in likeness.orders():
        for one, other in _neighbours(keys, bits):
            progress()
            search.compare(one, other)
    return search.joined.group


def _neighbours(keys: Keys, bits: int) -> Iterator[tuple[Numbers, Numbers]]:
    """Pairs at most ``WINDOW`` apart in the order of the keys, with the same upper ``bits``."""
    order = np.argsort(keys, kind="stable")
    prefixes = keys[order] >> np.uint64(64 - bits)
    for distance in range(1, min(WINDOW, len(keys) - 1) + 1):
        at = np.flatnonzero(prefixes[distance:] == prefixes[:-distance])
        if not len(at):
            return
        yield order[at], order[at + distance]


class _Search:
    """Compares pairs where something can still come of it, and joins those that are near-identical."""

    def __init__(self, count: int, likeness: Likeness) -> None:
        self.joined = _Joined(count)
        self._likeness = likeness
        self._disappointments = np.zeros(count, np.uint8)

    def compare(self, one: Numbers, other: Numbers) -> None:
        """Compare pairs, the cheap way first."""
        worthwhile = self._worthwhile(one, other)
        one, other = one[worthwhile], other[worthwhile]
        likely = self._likeness.likely(one, other)
        for a, b in zip(one[likely].tolist(), other[likely].tolist(), strict=True):
            if self._worthwhile(a, b):
                self._decide(a, b)

    def _worthwhile(self, one: Numbers | int, other: Numbers | int) -> Mask:
        failed = np.maximum(self._disappointments[one], self._disappointments[other])
        worthwhile: Mask = self.joined.may_join(one, other) & (failed < _DISAPPOINTMENTS)
        return worthwhile

    def _decide(self, one: int, other: int) -> None:
        if self._likeness.certain(one, other):
            self.joined.join(one, other)
        else:
            self._disappointments[[one, other]] += 1


class _Joined:
    """Disjoint sets of contents, none beyond the bound. Numbers and arrays of numbers are taken alike."""

    def __init__(self, count: int) -> None:
        self.group: Numbers = np.arange(count, dtype=np.int64)
        self._sizes = np.ones(count, np.int64)
        self._members: dict[int, list[int]] = {}
        self._most = max(_SMALLEST_BOUND, count // _LARGEST_SHARE)

    def may_join(self, one: Numbers | int, other: Numbers | int) -> Mask:
        """Whether two are apart, and together within the bound."""
        first, second = self.group[one], self.group[other]
        allowed: Mask = (first != second) & (self._sizes[first] + self._sizes[second] <= self._most)
        return allowed

    def join(self, one: int, other: int) -> None:
        """Put the smaller group into the larger one."""
        into, gone = sorted((int(self.group[one]), int(self.group[other])), key=lambda group: -self._sizes[group])
        moving = self._members.pop(gone, [gone])
        self._members.setdefault(into, [into]).extend(moving)
        self.group[moving] = into
        self._sizes[into] += len(moving)
