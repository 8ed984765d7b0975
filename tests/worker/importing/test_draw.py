import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from random import Random

from hypothesis import assume, given
from hypothesis import strategies as st

from worker.importing.candidates import Candidate
from worker.importing.draw import Draw, drawn

SIZES = st.dictionaries(st.sampled_from("abcd"), st.lists(st.integers(1, 9), min_size=1, max_size=12), min_size=1)
FRACTIONS = st.floats(0.05, 0.6)


def copied(label: str, sizes: Iterable[int], first_group: int = 0, *, identical: bool = True) -> list[Candidate]:
    """Items of one class in groups of these sizes; those of one have no group."""
    items: list[Candidate] = []
    for group, size in enumerate(sizes, start=first_group):
        for place in range(size):
            digest = 1000 * group + (0 if identical else place)
            number = len(items)
            items.append(
                Candidate(f"{label}/{group}-{place}", label, None, number, digest, group if size > 1 else None)
            )
    return items


def classes(sizes: dict[str, list[int]]) -> list[Candidate]:
    return [
        item
        for at, (label, its_sizes) in enumerate(sorted(sizes.items()))
        for item in copied(label, its_sizes, 100 * at)
    ]


def sides(items: list[Candidate], draw: Draw) -> dict[str, str]:
    """Name → split."""
    training, validation = drawn(items, draw)
    assert sorted(map(id, training + validation)) == sorted(map(id, items))
    return {item.name: "train" for item in training} | {item.name: "validation" for item in validation}


@given(SIZES, FRACTIONS, st.integers(0, 5))
def test_copies_go_to_the_same_side(sizes: dict[str, list[int]], fraction: float, seed: int) -> None:
    assume(any(len(its_sizes) > 1 for its_sizes in sizes.values()))
    items = classes(sizes)
    side = sides(items, Draw(fraction, seed))
    for group in {item.group for item in items} - {None}:
        assert len({side[item.name] for item in items if item.group == group}) == 1


@given(SIZES, FRACTIONS)
def test_a_class_of_two_groups_keeps_both_sides(sizes: dict[str, list[int]], fraction: float) -> None:
    items = classes(sizes)
    side = sides(items, Draw(fraction, 0))
    for label, its_sizes in sizes.items():
        if len(its_sizes) > 1:
            assert {side[item.name] for item in items if item.label == label} == {"train", "validation"}


@given(SIZES, FRACTIONS)
def test_no_other_group_would_bring_a_class_nearer_to_its_share(sizes: dict[str, list[int]], fraction: float) -> None:
    items = classes(sizes)
    side = sides(items, Draw(fraction, 0))
    for at, (label, its_sizes) in enumerate(sorted(sizes.items())):
        count = sum(its_sizes)
        wanted = min(max(1, round(fraction * count)), count - 1)
        taken = Counter(item.name for item in items if item.label == label and side[item.name] == "validation").total()
        in_training = [
            size
            for group, size in enumerate(its_sizes, start=100 * at)
            if size and side[f"{label}/{group}-0"] == "train"
        ]
        if len(in_training) > 1 and taken:
            assert all(abs(taken + size - wanted) >= abs(taken - wanted) for size in in_training)


@given(SIZES, FRACTIONS, st.randoms(use_true_random=False))
def test_the_order_of_the_items_does_not_matter(sizes: dict[str, list[int]], fraction: float, random: Random) -> None:
    items = classes(sizes)
    shuffled = random.sample(items, len(items))
    assert sides(shuffled, Draw(fraction, 3)) == sides(items, Draw(fraction, 3))


def test_items_without_copies_are_drawn_by_seed_label_and_name() -> None:
    items = copied("a", [1] * 50)
    lots = sorted(items, key=lambda item: hashlib.sha256(json.dumps([4, "a", item.name]).encode()).digest())
    side = sides(items, Draw(0.2, 4))
    assert {name for name, its_side in side.items() if its_side == "validation"} == {item.name for item in lots[:10]}


def test_another_group_of_a_class_does_not_change_which_single_items_are_drawn_first() -> None:
    items = copied("a", [1] * 40)
    alone = sides(items, Draw(0.2, 0))
    among = sides([*items, *copied("b", [5, 1, 1], 100)], Draw(0.2, 0))
    assert {name: among[name] for name in alone} == alone


def test_by_content_the_names_do_not_matter() -> None:
    items = copied("a", [1] * 30)
    renamed = [Candidate(f"line {place}", "a", None, place, item.digest) for place, item in enumerate(items, start=9)]
    draw = Draw(0.3, 0, by_content=True)
    drawn_contents = [sorted(item.digest for item in drawn(some, draw)[1]) for some in (items, renamed)]
    assert drawn_contents[0] == drawn_contents[1]
    assert len(drawn_contents[0]) == 9


def test_a_group_over_two_classes_stays_together() -> None:
    for seed in range(20):
        items = copied("a", [1] * 6) + copied("b", [1] * 6, 50)
        items += [Candidate(f"{label}/both", label, None, 99, 7, 999) for label in "ab"]
        side = sides(items, Draw(0.4, seed))
        assert side["a/both"] == side["b/both"]


def test_near_identical_items_that_are_a_whole_class_do_not_leave_it_without_validation() -> None:
    items = copied("a", [10], identical=False) + copied("b", [1] * 10, 50)
    side = sides(items, Draw(0.2, 0))
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for item in items:
        counts[item.label][side[item.name]] += 1
    assert counts["a"] == {"train": 8, "validation": 2}


def test_identical_items_that_are_a_whole_class_stay_together() -> None:
    side = sides(copied("a", [10]) + copied("b", [1] * 10, 50), Draw(0.2, 0))
    assert {its_side for name, its_side in side.items() if name.startswith("a/")} == {"train"}


def test_where_every_class_is_one_content_items_are_drawn_one_by_one() -> None:
    side = sides(copied("a", [10]) + copied("b", [10], 50), Draw(0.2, 0))
    assert Counter(side.values()) == {"train": 16, "validation": 4}
