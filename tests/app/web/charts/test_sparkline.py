"""A curve in a row of a list, from any values."""

import pytest
from markupsafe import Markup

from app.web.charts.sparkline import MOST_POINTS, sparkline
from tests.app.web.charts.reading import parsed


def _paths(values: list[float | None]) -> list[str]:
    return [one.get("d", "") for one in parsed(sparkline(values, "loss")).iter("path")]


def test_the_curve_goes_from_the_highest_to_the_lowest_value() -> None:
    assert _paths([1.0, 0.5, 0.0]) == ["M2.0 2.0 L50.0 12.0 L98.0 22.0"]


def test_it_breaks_where_there_is_no_number() -> None:
    assert _paths([1.0, 0.5, None, float("nan"), 0.0]) == ["M2.0 2.0 L26.0 12.0", "M98.0 22.0 L98.0 22.0"]


def test_a_single_or_a_constant_value_can_be_drawn() -> None:
    assert _paths([3.0]) == ["M2.0 22.0 L2.0 22.0"]
    assert _paths([3.0, 3.0]) == ["M2.0 22.0 L98.0 22.0"]


@pytest.mark.parametrize("values", [[], [None], [float("nan"), float("inf")]])
def test_nothing_is_drawn_without_a_number(values: list[float | None]) -> None:
    assert sparkline(values, "loss") == Markup()


def test_a_thousand_epochs_are_thinned_out_and_keep_their_ends() -> None:
    (path,) = _paths([float(1000 - place) for place in range(1001)])
    points = path.removeprefix("M").split(" L")
    assert len(points) == MOST_POINTS
    assert (points[0], points[-1]) == ("2.0 2.0", "98.0 22.0")


def test_it_says_in_words_what_it_shows() -> None:
    drawn = parsed(sparkline([1.5, 0.25], '<b>"loss"')).find("svg")
    assert drawn is not None
    assert drawn.get("aria-label") == '<b>"loss": 1.500 → 0.250'
