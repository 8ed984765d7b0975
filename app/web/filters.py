"""How templates write numbers and sizes; times are written by the browser, in the reader's own zone."""

import json
from collections.abc import Callable
from typing import Any, Final

from app.deps import rfc3339

_UNITS: Final = ("B", "kB", "MB", "GB", "TB")
_MINUTE: Final = 60
_HOUR: Final = 3600
_SHORTEST: Final = 0.1
NOTHING: Final = "–"


def size(count: float | None) -> str:
    """Bytes for people, in powers of 1000."""
    if count is None:
        return NOTHING
    for unit in _UNITS:
        if abs(count) < 1000 or unit == _UNITS[-1]:
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"


def percent(fraction: float | None, digits: int = 1) -> str:
    """A share of one."""
    return NOTHING if fraction is None else f"{100 * fraction:.{digits}f}%"


def number(value: float | None, digits: int = 4) -> str:
    """Whole numbers with separators; others with the digits that matter."""
    if value is None:
        return NOTHING
    return f"{value:,}" if isinstance(value, int) else f"{value:.{digits}g}"


def seconds(value: float | None) -> str:
    """A duration."""
    if value is None:
        return NOTHING
    if value < 10:
        return f"{value:.1f} s" if value >= _SHORTEST or not value else f"< {_SHORTEST} s"
    whole = round(value)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"


def short_id(value: str) -> str:
    """The part of an id that people tell objects apart by."""
    return value[-8:]


def pretty(value: object) -> str:
    """JSON as plain text, which templates escape like any other: what ``tojson`` gives is not fit for attributes."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def iso(moment: float | str) -> str:
    """A time as HTML has it; rows have seconds, the API's objects have the text already."""
    return moment if isinstance(moment, str) else rfc3339(moment)


def readable(moment: float | str) -> str:
    """A time for who has no script."""
    return f"{iso(moment)[:16].replace('T', ' ')} UTC"


FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "bytes": size,
    "percent": percent,
    "number": number,
    "seconds": seconds,
    "short_id": short_id,
    "pretty": pretty,
    "iso": iso,
    "readable": readable,
}
