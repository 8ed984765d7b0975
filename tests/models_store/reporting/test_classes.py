"""Figures of single classes, held to scikit-learn's."""

from typing import Any

import pytest
import torch
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from models_store.reporting import classes
from models_store.reporting.classes import Counts

NAMES = ["긍정", "부정", "중립", "never said", "never met"]


@pytest.fixture(scope="module")
def labelled() -> tuple[Any, Any]:
    chance = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 4, (500,), generator=chance)
    return labels, torch.where(torch.rand(500, generator=chance) < 0.6, labels % 3, (labels + 1) % 3)


@pytest.fixture(scope="module")
def counts(labelled: tuple[Any, Any]) -> Counts:
    return classes.count(*labelled, len(NAMES))


def test_figures_of_each_class_are_those_of_scikit_learn(labelled: tuple[Any, Any], counts: Counts) -> None:
    expected = precision_recall_fscore_support(*labelled, labels=range(5), zero_division=0)
    found = classes.per_class(counts, NAMES)
    assert [entry["label"] for entry in found] == NAMES
    for name, column in zip(("precision", "recall", "f1", "support"), expected, strict=True):
        assert [entry[name] for entry in found] == pytest.approx(list(column), abs=1e-12)


def test_means_are_those_of_scikit_learn_over_the_classes_that_were_met(
    labelled: tuple[Any, Any], counts: Counts
) -> None:
    expected = precision_recall_fscore_support(*labelled, average="macro", zero_division=0)
    assert list(classes.macro(counts).values()) == pytest.approx(list(expected[:3]), abs=1e-12)


def test_the_matrix_is_that_of_scikit_learn(labelled: tuple[Any, Any], counts: Counts) -> None:
    assert classes.matrix(counts) == confusion_matrix(*labelled, labels=range(5)).tolist()


def test_confusions_are_the_matrix_off_its_diagonal_most_frequent_first(counts: Counts) -> None:
    matrix = classes.matrix(counts)
    assert matrix is not None
    found = classes.confusions(counts, NAMES)
    numbers = [entry["count"] for entry in found]
    assert numbers == sorted(numbers, reverse=True)
    assert sum(numbers) == sum(map(sum, matrix)) - sum(matrix[place][place] for place in range(5))
    for entry in found:
        assert matrix[NAMES.index(entry["label"])][NAMES.index(entry["predicted"])] == entry["count"] > 0


def test_very_many_classes_give_no_matrix_and_a_bounded_list() -> None:
    labels = torch.arange(20_000) % 10_000
    counts = classes.count(labels, (labels * 7 + 1) % 10_000, 10_000)
    names = [str(number) for number in range(10_000)]
    assert classes.matrix(counts) is None
    assert len(classes.confusions(counts, names)) == classes.CONFUSIONS
    assert len(classes.per_class(counts, names)) == 10_000
