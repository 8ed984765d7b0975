"""Markdown whose values come from users: none of them is taken for markup."""

import re
from collections.abc import Sequence
from typing import Final

_MARKUP: Final = re.compile(r"([\\`*_\[\]<>|#])")


def plain(text: object) -> str:
    """The text on one line, its markup escaped."""
    return _MARKUP.sub(r"\\\1", " ".join(str(text).split()))


def number(value: object) -> str:
    """Four digits of a fraction; whole numbers as they are."""
    return f"{value:.4g}" if isinstance(value, float) else plain(value)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table; a sentence where it would have no rows."""
    if not rows:
        return "None is known."
    lines = [columns, ["---"] * len(columns), *([plain(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def code_block(content: str, language: str = "python") -> str:
    """A fenced block."""
    return f"```{language}\n{content}\n```"
