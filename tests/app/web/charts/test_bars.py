"""Bars are as long as the figures beside them say."""

import pytest

from app.web.charts.bars import MOST_BARS, bar, class_balance, per_class, scores
from tests.app.web.charts.reading import class_figures, numbers, parsed, rows, with_class, words

_EVIL = '</td><script>alert("x")</script>'
_LONG = "아주 긴 한국어 이름 " * 40


def test_each_class_has_its_three_figures_as_text_and_as_bars() -> None:
    classes = [{"label": "bees", "precision": 0.875, "recall": 1.0, "f1": 0.9333, "support": 1200}]
    drawn = parsed(per_class(classes, words))
    assert rows(drawn) == [["bees", "87.5%", "100.0%", "93.3%", "1,200"]]
    assert numbers(with_class(drawn, "part"), "width") == [87.5, 100.0, 93.33]


def test_of_a_thousand_classes_the_worst_are_drawn_and_all_are_listed() -> None:
    classes = [class_figures(f"c{place}", f1=place / 1000, support=1) for place in range(1000)]
    classes[0]["support"] = 0  # nothing was asked of it, so it was not told badly
    drawn = parsed(per_class(classes, words))
    seen, listed = drawn.findall(".//table")
    assert [row[0] for row in rows(seen)] == [f"c{place}" for place in range(1, MOST_BARS + 1)]
    assert [row[0] for row in rows(listed)] == [f"c{place}" for place in range(1000)]
    assert len(with_class(drawn, "bar")) == 3 * MOST_BARS


@pytest.mark.parametrize("label", [_EVIL, _LONG, "", "a & b <c>", "🐝"])
def test_any_label_is_text(label: str) -> None:
    drawn = parsed(per_class([class_figures(label)], words))
    assert rows(drawn)[0][0] == label
    assert drawn.find(".//script") is None


def test_no_class_and_no_number_can_be_drawn() -> None:
    assert rows(parsed(per_class([], words))) == []
    drawn = parsed(per_class([class_figures("a", f1=float("nan"))], words))
    assert rows(drawn)[0][1:4] == ["–", "–", "–"]
    assert numbers(with_class(drawn, "part"), "width") == [0.0, 0.0, 0.0]


def test_nothing_has_a_style_of_its_own() -> None:
    assert "style" not in per_class([class_figures("a")], words)


@pytest.mark.parametrize(("value", "width"), [(None, 0.0), (float("inf"), 0.0), (-1.0, 0.0), (2.0, 100.0), (0.5, 50.0)])
def test_a_bar_stays_within_its_track(value: float | None, width: float) -> None:
    assert numbers(with_class(parsed(bar((value, "x"))), "part"), "width") == [width]


def test_the_balance_stacks_splits_and_begins_with_the_largest_class() -> None:
    drawn = parsed(
        class_balance([("few", {"train": 10}), ("many", {"train": 60, "validation": 30, "test": 10})], words)
    )
    assert rows(drawn) == [["many", "", "60", "30", "10"], ["few", "", "10", "0", "0"]]
    parts = with_class(drawn, "part")
    assert numbers(parts[:3], "x") == [0.0, 60.0, 90.0]
    assert numbers(parts, "width") == [60.0, 30.0, 10.0, 10.0, 0.0, 0.0]


def test_the_balance_of_many_classes_shows_both_ends() -> None:
    drawn = parsed(class_balance([(f"c{place}", {"train": 1000 - place}) for place in range(1000)], words))
    labels = [row[0] for row in rows(drawn)]
    assert labels == [f"c{place}" for place in (*range(10), *range(990, 1000))]


def test_the_balance_of_nothing_is_an_empty_table() -> None:
    assert rows(parsed(class_balance([], words))) == []
    assert rows(parsed(class_balance([("a", {})], words))) == [["a", "", "0", "0", "0"]]


def test_scores_keep_their_order_and_the_first_stands_out() -> None:
    found = [{"label": "bees", "score": 0.98}, {"label": "ants", "score": 0.02}]
    drawn = parsed(scores(found, "What it is", words))
    assert rows(drawn) == [["bees", "98.0%"], ["ants", "2.0%"]]
    assert numbers(with_class(drawn, "best"), "width") == [98.0]
