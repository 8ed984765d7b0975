from collections.abc import Iterator
from itertools import pairwise
from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from worker.importing.duplicates.groups import ALONE, WINDOW, Keys, Likeness, Mask, Numbers, copies

CONTENTS = st.lists(st.integers(0, 300), max_size=120)


class Close:
    """Contents are numbers; those that differ by one at most are near-identical."""

    def __init__(self, contents: list[int], first: Numbers) -> None:
        self._values = np.array(contents, np.int64)[first]
        self.compared = 0
        self.verified = 0

    def orders(self) -> Iterator[tuple[Keys, int]]:
        for shift in (0, 2):
            yield (self._values + shift).astype(np.uint64) << np.uint64(40), 64 - 42

    def likely(self, one: Numbers, other: Numbers) -> Mask:
        self.compared += len(one)
        near: Mask = np.abs(self._values[one] - self._values[other]) <= 3
        return near

    def certain(self, one: int, other: int) -> bool:
        self.verified += 1
        return bool(abs(self._values[one] - self._values[other]) <= 1)


def digest(content: int) -> int:
    """As a hash would: in no order of the contents."""
    return (content + 1) * 0x9E3779B97F4A7C15 % 2**64


def grouped(contents: list[int]) -> list[set[int]]:
    """The groups as sets of places."""
    numbers = copies(_digests(contents), lambda first: Close(contents, first), lambda: None)
    return [set(np.flatnonzero(numbers == group).tolist()) for group in sorted(set(numbers.tolist()) - {ALONE})]


def _digests(contents: list[int]) -> Keys:
    return np.array([digest(content) for content in contents], np.uint64)


@given(CONTENTS, st.randoms(use_true_random=False))
def test_the_order_of_the_items_does_not_matter(contents: list[int], random: Random) -> None:
    order = list(range(len(contents)))
    random.shuffle(order)
    shuffled = grouped([contents[place] for place in order])
    again = sorted(sorted(order[place] for place in group) for group in shuffled)
    assert again == sorted(map(sorted, grouped(contents)))


@given(CONTENTS)
def test_identical_items_are_in_one_group_and_single_ones_in_none(contents: list[int]) -> None:
    groups = grouped(contents)
    for place, content in enumerate(contents):
        same = {other for other, its in enumerate(contents) if its == content}
        assert any(same <= group for group in groups) or same == {place}
    assert all(len(group) > 1 for group in groups)


@given(CONTENTS)
def test_a_group_is_joined_by_near_identical_pairs_alone(contents: list[int]) -> None:
    for group in grouped(contents):
        values = sorted({contents[place] for place in group})
        assert all(later - earlier <= 1 for earlier, later in pairwise(values))


def test_a_chain_does_not_swallow_the_set() -> None:
    chain = list(range(1000))
    groups = grouped(chain)
    assert 40 < max(map(len, groups)) <= 50
    assert sum(map(len, groups)) > 900


def test_identical_items_are_no_chain() -> None:
    assert grouped([5] * 1000 + [100, 200]) == [set(range(1000))]


def test_a_pair_is_found_among_many() -> None:
    contents = [*range(10, 10_000, 10), 501]
    assert [sorted(contents[place] for place in group) for group in grouped(contents)] == [[500, 501]]


def test_the_work_grows_with_the_items_and_not_with_their_square() -> None:
    class Crowd(Close):
        """All are alike at first sight, none at the second."""

        def orders(self) -> Iterator[tuple[Keys, int]]:
            yield np.zeros(len(self._values), np.uint64), 64

        def likely(self, one: Numbers, other: Numbers) -> Mask:
            super().likely(one, other)
            return np.ones(len(one), np.bool_)

    contents = list(range(0, 60_000, 2))
    made: list[Crowd] = []

    def likeness(first: Numbers) -> Likeness:
        made.append(Crowd(contents, first))
        return made[0]

    assert set(copies(_digests(contents), likeness, lambda: None).tolist()) == {ALONE}
    assert made[0].compared <= WINDOW * len(contents)
    assert made[0].verified <= 3 * len(contents)


def test_the_search_can_be_stopped() -> None:
    class StoppedError(Exception):
        pass

    def stop() -> None:
        raise StoppedError

    try:
        copies(_digests([1, 2]), lambda first: Close([1, 2], first), stop)
    except StoppedError:
        return
    raise AssertionError("went on")


def test_nothing_has_no_groups() -> None:
    assert grouped([]) == []
