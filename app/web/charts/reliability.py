"""Whether a score of 0.9 is right nine times in ten: the reliability diagram, before and after temperature scaling."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup

from app.web.charts.markup import Child, Words, element, figure, folded, picture, scrolling, share, table, within

_SIDE: Final = 200.0
_LEFT: Final = 34.0
_TOP: Final = 8.0
_RIGHT: Final = 18.0
_BELOW: Final = 34.0
_TICKS: Final = (0.0, 0.5, 1.0)
_FAINTEST: Final = 0.25
"""Of a bin with few items; one with many is opaque."""
Bin = Mapping[str, Any]


def reliability(name: str, calibration: Mapping[str, Any], t: Words) -> Markup:
    """The diagrams of a part of a report and their values as a table; ``name`` is its own on the page.

    Where the temperature changes nothing, one diagram says it all.
    """
    bins = {when: calibration[f"reliability_{when}"] for when in ("before", "after")}
    drawn = [
        _diagram(f"{name}-{when}", t(f"charts.reliability.{when}"), found, calibration[f"ece_{when}"], t)
        for when, found in bins.items()
        if when == "after" or found != bins["after"]
    ]
    values = folded(t("charts.as_table"), _table(bins["before"], bins["after"], t))
    return element("div", *drawn, class_="side-by-side") + values


def _diagram(name: str, title: str, bins: Sequence[Bin], ece: float | None, t: Words) -> Markup:
    items = sum(entry["count"] for entry in bins)
    said = t("charts.reliability.described", ece=share(ece), items=f"{items:,}")
    most = max((entry["count"] for entry in bins), default=0)
    met = [entry for entry in bins if entry["count"]]
    drawn = picture(
        name,
        title,
        said,
        _LEFT + _SIDE + _RIGHT,
        _TOP + _SIDE + _BELOW,
        *_axes(t),
        *(_bar(entry, most) for entry in met),
        element("line", x1=_x(0), y1=_y(0), x2=_x(1), y2=_y(1), class_="ideal"),
        *(_gap(entry) for entry in met),
    )
    caption = element("figcaption", element("strong", title), " ", t("charts.reliability.error", ece=share(ece)))
    return element("figure", drawn, caption, class_="diagram")


def _bar(entry: Bin, most: int) -> Markup:
    """Accuracy of a bin; the fainter, the fewer items it has."""
    accuracy = within(entry["accuracy"])
    return element(
        "rect",
        x=_x(entry["from"]),
        y=_y(accuracy),
        width=_SIDE * (entry["to"] - entry["from"]) - 1,
        height=_SIDE * accuracy,
        fill_opacity=_FAINTEST + (1 - _FAINTEST) * entry["count"] / most,
        class_="accuracy",
    )


def _gap(entry: Bin) -> Markup:
    """From what was right to what was claimed."""
    middle = _x((entry["from"] + entry["to"]) / 2)
    accuracy, confidence = _y(within(entry["accuracy"])), _y(within(entry["confidence"]))
    return element("line", x1=middle, y1=accuracy, x2=middle, y2=confidence, class_="gap")


def _axes(t: Words) -> list[Markup]:
    frame = element("rect", x=_x(0), y=_y(1), width=_SIDE, height=_SIDE, class_="frame")
    across = [_text(_x(tick), _y(0) + 14, f"{tick:.0%}", "middle") for tick in _TICKS]
    up = [_text(_x(0) - 4, _y(tick) + 4, f"{tick:.0%}", "end") for tick in _TICKS]
    name = _text(_x(0.5), _y(0) + 29, t("charts.reliability.axis"), "middle")
    return [frame, *across, *up, name]


def _text(x: float, y: float, said: str, anchor: str) -> Markup:
    return element("text", said, x=x, y=y, text_anchor=anchor)


def _table(before: Sequence[Bin], after: Sequence[Bin], t: Words) -> Markup:
    heads = [t("charts.score"), *(t(f"charts.reliability.{head}") for head in _HEADS)]
    rows = [_values(one, other) for one, other in zip(before, after, strict=True) if one["count"] or other["count"]]
    caption = t("charts.reliability.caption")
    return scrolling(table(caption, heads, rows), caption)


_HEADS: Final = (
    "before_items",
    "before_confidence",
    "before_accuracy",
    "after_items",
    "after_confidence",
    "after_accuracy",
)


def _values(before: Bin, after: Bin) -> list[Child]:
    measured = [
        value
        for entry in (before, after)
        for value in (f"{entry['count']:,}", share(entry["confidence"]), share(entry["accuracy"]))
    ]
    return [f"{figure(before['from'], 2)}–{figure(before['to'], 2)}", *measured]


def _x(value: float) -> float:
    return _LEFT + _SIDE * value


def _y(value: float) -> float:
    return _TOP + _SIDE * (1 - value)
