"""Parts run one after the other, whatever becomes of each."""

from pathlib import Path

import pytest

from bench.given import Given
from bench.measurement import Measurement
from bench.performing import perform
from bench.state import Done, State

_ROW = Measurement("x", 1.0, 2.0, "s", 2.0, 1.5)


@pytest.fixture
def given(tmp_path: Path) -> Given:
    return Given(tmp_path, tmp_path, tmp_path, tmp_path)


def _broken(_given: Given) -> list[Measurement]:
    raise RuntimeError("no such peer")


def _fine(_given: Given) -> list[Measurement]:
    return [_ROW]


def test_a_part_that_fails_is_told_and_the_next_one_runs(given: Given) -> None:
    state = State(None)
    perform({"broken": _broken, "fine": _fine}, given, state, lambda: None)
    assert state.parts["broken"].failure == "RuntimeError: no such peer"
    assert state.parts["fine"].measurements == [_ROW]


def test_a_part_that_has_ended_is_not_run_again(given: Given) -> None:
    state = State(None)
    state.keep("part", Done([_ROW], 1.0, "yesterday"))
    perform({"part": _broken}, given, state, lambda: None)
    assert state.parts["part"].date == "yesterday"


def test_every_part_is_written_down_as_soon_as_it_has_ended(given: Given) -> None:
    state = State(None)
    seen: list[list[str]] = []
    perform({"broken": _broken, "fine": _fine}, given, state, lambda: seen.append(list(state.parts)))
    assert seen == [["broken"], ["broken", "fine"]]
