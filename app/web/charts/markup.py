"""HTML and SVG from escaped parts: no label can become markup, whatever is in it."""

import math
from collections.abc import Callable, Iterable
from typing import Final, TypeGuard

from markupsafe import Markup

Words = Callable[..., str]
"""Gives the text of a message key in the reader's language, with the values that it names."""
Child = str | Markup
_NO_ENTRY: Final = "–"
_CAMEL: Final = {"view_box": "viewBox", "preserve_aspect_ratio": "preserveAspectRatio"}
"""The attributes that SVG does not write with hyphens."""


def element(tag: str, /, *children: Child, **attributes: str | float | None) -> Markup:
    """One element. In attributes' names underscores stand for hyphens, but for one at the end; None leaves it out."""
    told = Markup().join(
        Markup(' {}="{}"').format(_attribute(name), _plain(value))
        for name, value in attributes.items()
        if value is not None
    )
    return Markup("<{0}{1}>{2}</{0}>").format(tag, told, Markup().join(children))


def drawing(width: float, height: float, *children: Child, stretched: bool = False, **attributes: str | None) -> Markup:
    """An SVG that is as wide as its surroundings; ``stretched`` lets it lose its proportions."""
    return element(
        "svg",
        *children,
        view_box=f"0 0 {_plain(width)} {_plain(height)}",
        preserve_aspect_ratio="none" if stretched else None,
        **attributes,
    )


def picture(name: str, title: str, description: str, width: float, height: float, *children: Child) -> Markup:
    """A drawing that says in words what it shows; ``name`` is its own on the page."""
    return drawing(
        width,
        height,
        element("title", title, id=f"{name}-title"),
        element("desc", description, id=f"{name}-desc"),
        *children,
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
        class_="drawing",
    )


def table(caption: str, heads: Iterable[Child], rows: Iterable[Iterable[Child]], class_: str = "figures") -> Markup:
    """A table whose first column names its rows."""
    body = (element("tr", *_cells(row)) for row in rows)
    return element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *(element("th", head, scope="col") for head in heads))),
        element("tbody", *body),
        class_=class_,
    )


def scrolling(content: Markup, label: str) -> Markup:
    """What may be wider than a phone; the keyboard reaches it, so that it can be scrolled."""
    return element("div", content, class_="scrolling", tabindex="0", role="group", aria_label=label)


def name(label: str) -> Markup:
    """A label of any length: three lines of it are seen, and all of it is read."""
    return element("span", label, class_="name", title=label)


def folded(summary: str, content: Markup) -> Markup:
    """What most readers pass over."""
    return element("details", element("summary", summary), content)


def share(value: float | None, digits: int = 1) -> str:
    """A share as a percentage; a dash for what was not measured."""
    return f"{value:.{digits}%}" if is_number(value) else _NO_ENTRY


def figure(value: float | None, digits: int = 3) -> str:
    """A number; a dash for what was not measured."""
    return f"{value:,.{digits}f}" if is_number(value) else _NO_ENTRY


def is_number(value: float | None) -> TypeGuard[float]:
    """Whether it can be drawn."""
    return value is not None and math.isfinite(value)


def within(value: float | None, low: float = 0.0, high: float = 1.0) -> float:
    """The nearest value in the range; its lower end for what is no number."""
    return min(max(value, low), high) if is_number(value) else low


def _cells(row: Iterable[Child]) -> Iterable[Markup]:
    for place, cell in enumerate(row):
        yield element("td", cell) if place else element("th", _named(cell), scope="row")


def _named(cell: Child) -> Markup:
    return cell if isinstance(cell, Markup) else name(cell)


def _attribute(name: str) -> str:
    return _CAMEL.get(name, name.removesuffix("_").replace("_", "-"))


def _plain(value: str | float | None) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
