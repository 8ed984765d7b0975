"""The results as a Markdown table, put between two marks of a page that people write."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from bench.measurement import Measurement
from bench.state import Done

BEGIN: Final = "<!-- results: written by `make bench`, not by hand -->"
END: Final = "<!-- end of results -->"
_HEAD: Final = """| what | ours | beside it | ratio | aim | met |
| --- | ---: | ---: | ---: | ---: | --- |"""


def section(parts: Mapping[str, Done], names: Sequence[str], facts: Sequence[str]) -> str:
    """All parts in the order of ``names``, each with its table; those that have no figures say why."""
    blocks = [*facts, *(_part(name, parts.get(name)) for name in names)]
    return "\n\n".join(blocks)


def put(page: Path, content: str) -> None:
    """Replace what stands between the marks; where there is no page, make one.

    Raises:
        ValueError: see ``around``.
    """
    before, after = around(page)
    page.write_text(f"{before}{BEGIN}\n\n{content}\n\n{END}{after}", "utf-8")


def around(page: Path) -> tuple[str, str]:
    """What stands before and after the results.

    Raises:
        ValueError: the page has no place for them.
    """
    text = page.read_text("utf-8") if page.is_file() else f"# Results of `make bench`\n\n{BEGIN}\n{END}\n"
    before, found_begin, rest = text.partition(BEGIN)
    _, found_end, after = rest.partition(END)
    if not (found_begin and found_end):
        raise ValueError(f"{page} has no place for the results. Add the lines {BEGIN!r} and {END!r}, or name another.")
    return before, after


def _part(name: str, done: Done | None) -> str:
    if done is None:
        return f"### {name}\n\nNot measured."
    head = f"### {name}\n\n{done.date}, {done.seconds:.0f} s"
    if done.failure:
        return f"{head}. It failed: {_cell(done.failure)}"
    return "\n".join([f"{head}\n", _HEAD, *(_row(one) for one in done.measurements)])


def _row(one: Measurement) -> str:
    met = "yes" if one.met else "**no**"
    cells = [one.what, one.ours_told, one.peer_told, f"{one.ratio:.2f}", one.aim_told, met]
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
