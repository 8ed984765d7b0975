"""The diagram's bars and gaps stand where the report's bins say."""

from typing import Any

import pytest

from app.web.charts.reliability import reliability
from tests.app.web.charts.reading import numbers, parsed, rows, with_class, words


def _bins(**at: tuple[int, float, float]) -> list[dict[str, Any]]:
    """Fifteen bins: count, confidence and accuracy of some, the others empty."""
    found = []
    for place in range(15):
        count, confidence, accuracy = at.get(f"b{place}", (0, None, None))
        edges = {"from": place / 15, "to": (place + 1) / 15}
        found.append({**edges, "count": count, "confidence": confidence, "accuracy": accuracy})
    return found


def _calibration(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> dict[str, Any]:
    return {"ece_before": 0.125, "ece_after": 0.03, "reliability_before": before, "reliability_after": after}


@pytest.fixture
def calibration() -> dict[str, Any]:
    """Before: 20 items overconfident by a quarter. After: 15 and 5 of them, closer."""
    return _calibration(_bins(b14=(20, 1.0, 0.75)), _bins(b9=(5, 0.65, 0.6), b11=(15, 0.8, 0.8)))


def test_bars_are_as_high_as_the_accuracy_and_gaps_end_at_the_score(calibration: dict[str, Any]) -> None:
    drawn = parsed(reliability("r", calibration, words))
    assert numbers(with_class(drawn, "accuracy"), "height") == [150.0, 120.0, 160.0]
    before = with_class(drawn, "gap")[0]
    top, side = 8.0, 200.0
    assert float(before.get("y1", "")) == pytest.approx(top + side * 0.25)
    assert float(before.get("y2", "")) == pytest.approx(top)


def test_bins_with_few_items_are_fainter(calibration: dict[str, Any]) -> None:
    drawn = parsed(reliability("r", calibration, words))
    assert numbers(with_class(drawn, "accuracy"), "fill-opacity") == [1.0, 0.5, 1.0]


def test_the_table_has_every_bin_that_has_items(calibration: dict[str, Any]) -> None:
    drawn = parsed(reliability("r", calibration, words))
    assert rows(drawn) == [
        ["0.60–0.67", "0", "–", "–", "5", "65.0%", "60.0%"],
        ["0.73–0.80", "0", "–", "–", "15", "80.0%", "80.0%"],
        ["0.93–1.00", "20", "100.0%", "75.0%", "0", "–", "–"],
    ]


def test_each_picture_says_in_words_what_it_shows(calibration: dict[str, Any]) -> None:
    drawn = parsed(reliability("r", calibration, words))
    pictures = with_class(drawn, "drawing")
    assert [one.get("aria-labelledby") for one in pictures] == [
        "r-before-title r-before-desc",
        "r-after-title r-after-desc",
    ]
    assert {one.get("role") for one in pictures} == {"img"}
    described = [one.text or "" for one in drawn.iter("desc")]
    assert "12.5%" in described[0]
    assert "3.0%" in described[1]
    assert all("20 items" in text for text in described)


def test_a_temperature_that_changes_nothing_has_one_diagram(calibration: dict[str, Any]) -> None:
    same = {**calibration, "reliability_before": calibration["reliability_after"]}
    (only,) = with_class(parsed(reliability("r", same, words)), "diagram")
    assert "As served" in "".join(only.itertext())


def test_a_report_of_no_item_gives_empty_diagrams() -> None:
    drawn = parsed(reliability("r", {**_calibration(_bins(), _bins()), "ece_before": None}, words))
    assert with_class(drawn, "accuracy") == []
    assert rows(drawn) == []
