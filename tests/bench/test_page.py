"""The results go to their place in a page that people write."""

from pathlib import Path

import pytest

from bench import page
from bench.measurement import Measurement
from bench.parts import PARTS
from bench.state import Done

_PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
_ROW = Measurement("x | y", 1.0, 2.0, "s", 2.0, 1.5, "a peer")


def test_only_what_stands_between_the_marks_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n", "utf-8")
    page.put(file, "new")
    assert file.read_text("utf-8") == f"before\n{page.BEGIN}\n\nnew\n\n{page.END}\nafter\n"


def test_a_page_that_is_not_there_is_made(tmp_path: Path) -> None:
    page.put(tmp_path / "page.md", "new")
    assert "new" in (tmp_path / "page.md").read_text("utf-8")


def test_a_page_without_a_place_for_results_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text("mine", "utf-8")
    with pytest.raises(ValueError, match="no place"):
        page.put(file, "new")
    assert file.read_text("utf-8") == "mine"


def test_a_row_of_the_table_has_six_cells_whatever_its_text() -> None:
    section = page.section({"part": Done([_ROW], 3.0, "today")}, ["part"], [])
    assert r"| x \| y | 1.00 s | 2.00 s (a peer) | 2.00 | ≥ 1.50 | yes |" in section.splitlines()


def test_parts_that_failed_or_were_not_run_are_in_the_results_too() -> None:
    section = page.section({"bad": Done([], 3.0, "today", "it\nbroke")}, ["bad", "absent"], ["fact"])
    assert section == "fact\n\n### bad\n\ntoday, 3 s. It failed: it broke\n\n### absent\n\nNot measured."


def test_the_page_of_the_project_has_a_place_for_results_and_tells_of_every_part() -> None:
    before, _ = page.around(_PAGE)
    assert not [name for name in PARTS if f"| `{name}` |" not in before]
