"""What a chart shows, read as a browser would: it must be well-formed, and no text may have become markup."""

from collections.abc import Iterable
from typing import Any
from xml.etree import ElementTree

from markupsafe import Markup

from app.web.messages.en_models import MESSAGES


def words(key: str, **values: object) -> str:
    """The English text of a key."""
    return MESSAGES[key].format(**values)


def parsed(chart: Markup) -> ElementTree.Element:
    """The chart below one root."""
    assert isinstance(chart, Markup)
    return ElementTree.fromstring(f"<root>{chart}</root>")  # noqa: S314 - we have just written it


def rows(root: ElementTree.Element) -> list[list[str]]:
    """The texts of every row of a table's body."""
    return [["".join(cell.itertext()) for cell in row] for row in root.findall(".//tbody/tr")]


def with_class(root: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    """Elements that have a class."""
    return [one for one in root.iter() if name in one.get("class", "").split()]


def numbers(found: Iterable[ElementTree.Element], attribute: str) -> list[float]:
    """An attribute of several elements."""
    return [float(one.get(attribute, "nan")) for one in found]


def class_figures(label: str, f1: float = 0.5, support: int = 10, **more: float) -> dict[str, Any]:
    """A class as a report has it."""
    return {"label": label, "precision": f1, "recall": f1, "f1": f1, "support": support, **more}
