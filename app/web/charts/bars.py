"""Bars beside their figures: rows of a table, so that long labels wrap and a phone shows them as well."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup

from app.web.charts.markup import Child, Words, drawing, element, folded, scrolling, share, table, within

MOST_BARS: Final = 20
"""With more classes than these, bars are drawn for the ones that are told worst."""
MOST_ROWS: Final = 1000
"""Of the folded table below."""
_SPLITS: Final = ("train", "validation", "test")
_SHARES: Final = ("precision", "recall", "f1")
_WIDTH: Final = 100.0
_HEIGHT: Final = 10.0


def bar(*lengths: tuple[float | None, str]) -> Markup:
    """One bar of parts, each a share of its whole length and a class; the text beside it says the same."""
    parts, start = [], 0.0
    for length, kind in lengths:
        width = within(length, 0.0, 1.0 - start / _WIDTH) * _WIDTH
        parts.append(element("rect", x=start, y=0.0, width=width, height=_HEIGHT, class_=f"part {kind}"))
        start += width
    track = element("rect", x=0.0, y=0.0, width=_WIDTH, height=_HEIGHT, class_="track")
    return drawing(_WIDTH, _HEIGHT, track, *parts, stretched=True, class_="bar", aria_hidden="true")


def per_class(classes: Sequence[Mapping[str, Any]], t: Words) -> Markup:
    """Precision, recall and F1 of each class of a report; of many classes those with the lowest F1, and all folded."""
    few = len(classes) <= MOST_BARS
    shown = classes if few else _worst(classes)
    drawn = table(_caption(len(classes), len(shown), t), _class_heads(t), (_bars_of(row) for row in shown), "bars")
    if few:
        return drawn
    listed = classes[:MOST_ROWS]
    rows = [[row["label"], *(share(row[name]) for name in _SHARES), f"{row['support']:,}"] for row in listed]
    caption = t("charts.classes.first", shown=f"{len(rows):,}", classes=f"{len(classes):,}")
    return drawn + folded(caption, scrolling(table(caption, _class_heads(t), rows), caption))


def class_balance(counts: Sequence[tuple[str, Mapping[str, int]]], t: Words) -> Markup:
    """How many items each class has, by split; the largest classes first, of many the largest and the smallest."""
    ordered = sorted(counts, key=lambda one: -sum(one[1].values()))
    most = max((sum(parts.values()) for _, parts in ordered), default=0)
    shown = ordered if len(ordered) <= MOST_BARS else [*ordered[: MOST_BARS // 2], *ordered[-MOST_BARS // 2 :]]
    rows = [_balance_row(label, parts, most) for label, parts in shown]
    caption = t("charts.balance.caption", shown=f"{len(shown):,}", classes=f"{len(counts):,}")
    heads = [t("charts.class"), t("charts.balance.share"), *(t(f"charts.split.{split}") for split in _SPLITS)]
    return table(caption, heads, rows, "bars")


def scores(found: Sequence[Mapping[str, Any]], caption: str, t: Words) -> Markup:
    """What a prediction says of each class, best first as it came."""
    heads = [t("charts.class"), t("charts.score")]
    rows = [
        [row["label"], _with_bar(row["score"], "best" if not place else "other")] for place, row in enumerate(found)
    ]
    return table(caption, heads, rows, "bars")


def _worst(classes: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    met = [row for row in classes if row["support"]]
    return sorted(met, key=lambda row: (within(row["f1"]), -row["support"]))[:MOST_BARS]


def _caption(classes: int, shown: int, t: Words) -> str:
    if shown == classes:
        return t("charts.classes.caption")
    return t("charts.classes.worst", shown=f"{shown:,}", classes=f"{classes:,}")


def _class_heads(t: Words) -> list[Child]:
    return [t("charts.class"), *(t(f"charts.{name}") for name in _SHARES), t("charts.support")]


def _bars_of(row: Mapping[str, Any]) -> list[Child]:
    return [row["label"], *(_with_bar(row[name], name) for name in _SHARES), f"{row['support']:,}"]


def _with_bar(value: float | None, kind: str) -> Markup:
    return element("span", share(value), class_="value") + bar((value, kind))


def _balance_row(label: str, parts: Mapping[str, int], most: int) -> list[Child]:
    lengths = [(parts.get(split, 0) / most if most else 0.0, split) for split in _SPLITS]
    return [label, bar(*lengths), *(f"{parts.get(split, 0):,}" for split in _SPLITS)]
