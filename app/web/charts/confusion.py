"""Which class is taken for which. The matrix is a table: a screen reader reads a cell with both of its labels."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup

from app.web.charts.bars import bar
from app.web.charts.markup import Words, element, name, scrolling, share, table

MOST_CLASSES: Final = 20
"""A larger matrix cannot be read; then the pairs that are confused most are listed."""
_ROOMY: Final = 7
"""A matrix of more classes has narrow columns with upright names."""
MOST_PAIRS: Final = 20
_BESIDE: Final = 6
"""Pairs that stand beside a large matrix, where they are hard to find."""
_LEVELS: Final = 10


def confusions(figures: Mapping[str, Any], t: Words) -> Markup:
    """The matrix of a part of a report, or, where it would have too many classes, the most confused pairs."""
    matrix, labels = figures["confusion_matrix"], [row["label"] for row in figures["classes"]]
    if matrix is None or len(labels) > MOST_CLASSES:
        return _pairs(figures, MOST_PAIRS, t)
    caption = t("charts.confusion.caption")
    head = element("tr", element("th", t("charts.confusion.corner"), scope="col"), *map(_column_head, labels))
    rows = (_row(place, labels, counts, t) for place, counts in enumerate(matrix))
    grid = element(
        "table",
        element("caption", caption),
        element("thead", head),
        element("tbody", *rows),
        class_="confusion crowded" if len(labels) > _ROOMY else "confusion",
    )
    drawn = scrolling(grid, caption)
    if len(labels) <= _ROOMY or not figures["confusions"]:
        return drawn
    return element("div", drawn, _pairs(figures, _BESIDE, t), class_="matrix-and-pairs")


def _column_head(label: str) -> Markup:
    return element("th", element("span", label), scope="col", title=label)


def _row(place: int, labels: Sequence[str], counts: Sequence[int], t: Words) -> Markup:
    items = sum(counts)
    cells = (_cell(labels[place], labels[column], count, items, t) for column, count in enumerate(counts))
    return element("tr", element("th", element("span", labels[place]), scope="row", title=labels[place]), *cells)


def _cell(label: str, predicted: str, count: int, items: int, t: Words) -> Markup:
    """Its colour tells the share of the label's items, in tenths: rare classes are seen as well as frequent ones."""
    level = -(-count * _LEVELS // items) if items else 0
    kind = "right" if label == predicted else "wrong"
    said = t("charts.confusion.cell", label=label, predicted=predicted, share=share(count / items if items else None))
    return element("td", f"{count:,}", class_=f"{kind} level-{level}", title=said)


def _pairs(figures: Mapping[str, Any], most: int, t: Words) -> Markup:
    found = figures["confusions"][:most]
    if not found:
        return element("p", t("charts.confusion.none"))
    support = {row["label"]: row["support"] for row in figures["classes"]}
    rows = []
    for pair in found:
        part = pair["count"] / support[pair["label"]] if support.get(pair["label"]) else None
        rows.append([pair["label"], name(pair["predicted"]), f"{pair['count']:,}", share(part) + bar((part, "wrong"))])
    heads = [
        t("charts.confusion.label"),
        t("charts.confusion.predicted"),
        t("charts.items"),
        t("charts.confusion.part"),
    ]
    return table(t("charts.confusion.pairs", shown=len(rows)), heads, rows, "bars")
