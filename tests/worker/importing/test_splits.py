import dataclasses
from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_store.errors import InvalidError
from worker.importing.candidates import Candidate
from worker.importing.draw import Draw
from worker.importing.limits import ImportLimits
from worker.importing.problems import Problems
from worker.importing.splits import Arranged, arrange

SIZES = st.dictionaries(st.text(min_size=1, max_size=3), st.integers(2, 30), min_size=2, max_size=5)
FRACTIONS = st.floats(0.01, 0.99)


def items(label: str, count: int, split: str | None = None) -> list[Candidate]:
    return [Candidate(f"{split}/{label}/{number}", label, split, number, number) for number in range(count)]


def arranged(
    candidates: list[Candidate], fraction: float = 0.2, seed: int = 0, regrouped: bool = False
) -> tuple[Arranged, dict[str, str]]:
    problems = Problems(1000)
    result = arrange(candidates, Draw(fraction, seed, regrouped), ImportLimits(), problems)
    return result, {problem["item"]: problem["code"] for problem in problems.found}


def names(result: Arranged, split: str) -> set[str]:
    return {item.name for its_split, item in result if its_split == split}


def error_of(candidates: list[Candidate], limits: ImportLimits | None = None) -> str:
    with pytest.raises(InvalidError) as caught:
        arrange(candidates, Draw(0.2, 0), limits or ImportLimits(), Problems(1000))
    return caught.value.code


@given(SIZES, FRACTIONS)
def test_each_class_gives_its_share_and_keeps_one_item(sizes: dict[str, int], fraction: float) -> None:
    result, _problems = arranged([item for label, count in sizes.items() for item in items(label, count)], fraction)
    drawn = Counter(item.label for split, item in result if split == "validation")
    for label, count in sizes.items():
        assert drawn[label] == min(max(1, round(fraction * count)), count - 1)
    assert len(result) == sum(sizes.values())


@given(SIZES, st.randoms(use_true_random=False))
def test_the_order_of_the_items_does_not_matter(sizes: dict[str, int], random: Random) -> None:
    candidates = [item for label, count in sizes.items() for item in items(label, count)]
    shuffled = list(candidates)
    random.shuffle(shuffled)
    assert arranged(shuffled) == arranged(candidates)


def test_another_seed_draws_other_items_of_the_same_number() -> None:
    candidates = items("a", 50) + items("b", 50)
    first, second = (names(arranged(candidates, seed=seed)[0], "validation") for seed in (0, 1))
    assert first != second
    assert len(first) == len(second) == 20


def test_the_draw_of_a_class_does_not_depend_on_other_classes() -> None:
    alone = names(arranged(items("a", 20) + items("b", 5))[0], "validation")
    among = names(arranged(items("a", 20) + items("c", 9))[0], "validation")
    assert {name for name in alone if "/a/" in name} == {name for name in among if "/a/" in name}


def test_the_draw_is_the_same_in_every_version() -> None:
    drawn = names(arranged(items("a", 10) + items("b", 10))[0], "validation")
    assert drawn == {"None/a/1", "None/a/7", "None/b/0", "None/b/7"}


def test_a_given_validation_split_is_kept() -> None:
    candidates = items("a", 3, "train") + items("b", 3, "train") + items("a", 1, "validation") + items("b", 2, "test")
    result, _problems = arranged(candidates)
    assert Counter(split for split, _item in result) == {"train": 6, "validation": 1, "test": 2}


def test_items_are_in_the_manifests_order() -> None:
    result, _problems = arranged(items("b", 12) + items("a", 12) + items("a", 2, "test"))
    ranks = [(("train", "validation", "test").index(split), item.label, item.name) for split, item in result]
    assert ranks == sorted(ranks)


def test_labels_that_training_lacks_are_listed_and_left_out() -> None:
    candidates = items("a", 2) + items("b", 2) + items("c", 1, "validation") + items("c", 1, "test")
    result, problems = arranged(candidates)
    assert problems == {"validation/c/0": "unknown_label", "test/c/0": "unknown_label"}
    assert {item.label for _split, item in result} == {"a", "b"}


def test_a_class_with_one_training_item_is_kept_for_training_and_listed() -> None:
    result, problems = arranged(items("a", 5) + items("b", 1))
    assert problems == {"b": "tiny_class"}
    assert "None/b/0" in names(result, "train")


@pytest.mark.parametrize("candidates", [[], items("a", 9), items("a", 9, "train") + items("b", 3, "validation")])
def test_less_than_two_classes_are_refused(candidates: list[Candidate]) -> None:
    assert error_of(candidates) == "too_few_classes"


def test_classes_of_one_item_each_are_refused() -> None:
    assert error_of(items("a", 1) + items("b", 1)) == "too_few_items"


def test_classes_of_one_item_each_suffice_with_a_validation_split() -> None:
    result, _problems = arranged(items("a", 1) + items("b", 1) + items("a", 1, "validation"))
    assert len(result) == 3


def test_classes_are_limited() -> None:
    limits = dataclasses.replace(ImportLimits(), classes=2)
    assert error_of(items("a", 2) + items("b", 2) + items("c", 2), limits) == "too_many_classes"
