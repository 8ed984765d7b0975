"""A curve without axes, small enough for a row of a list."""

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from app.web.charts.markup import drawing, element, figure, is_number

_WIDTH: Final = 100.0
_HEIGHT: Final = 24.0
_EDGE: Final = 2.0
MOST_POINTS: Final = 100
"""More than a list shows; of more values evenly spaced ones are drawn."""


def sparkline(values: Sequence[float | None], label: str) -> Markup:
    """The course of ``values``; it breaks where one is no number. ``label`` says what they are.

    Nothing is drawn without a number: a list then has an empty cell.
    """
    numbers = [value for value in values if is_number(value)]
    if not numbers:
        return Markup()
    said = f"{label}: {figure(numbers[0])} → {figure(numbers[-1])}"
    chosen = _spread(values)
    low, high = min(numbers), max(numbers)
    pieces = _pieces(chosen, low, (high - low) or 1.0)
    return drawing(_WIDTH, _HEIGHT, element("title", said), *pieces, role="img", aria_label=said, class_="sparkline")


def _spread(values: Sequence[float | None]) -> Sequence[float | None]:
    if len(values) <= MOST_POINTS:
        return values
    last = len(values) - 1
    return [values[round(place * last / (MOST_POINTS - 1))] for place in range(MOST_POINTS)]


def _pieces(values: Sequence[float | None], low: float, spread: float) -> list[Markup]:
    step = (_WIDTH - 2 * _EDGE) / max(1, len(values) - 1)
    pieces: list[list[str]] = [[]]
    for place, value in enumerate(values):
        if not is_number(value):
            pieces.append([])
            continue
        y = _HEIGHT - _EDGE - (_HEIGHT - 2 * _EDGE) * (value - low) / spread
        pieces[-1].append(f"{_EDGE + place * step:.1f} {y:.1f}")
    # A piece of one point has no length: its round cap makes a dot of it.
    return [element("path", d=f"M{' L'.join(points if points[1:] else points * 2)}") for points in pieces if points]
