"""What has ended is kept, so that a run that was cut goes on."""

from pathlib import Path

from bench.measurement import Measurement
from bench.state import Done, State

_DONE = Done([Measurement("x", 1.0, 2.0, "s", 2.0, 1.5, "a peer", at_most=True)], 3.0, "today")


def test_a_later_run_finds_the_parts_of_an_earlier_one(tmp_path: Path) -> None:
    State(tmp_path / "new" / "state.json").keep("part", _DONE)
    assert State(tmp_path / "new" / "state.json").parts == {"part": _DONE}


def test_a_part_that_failed_is_run_again(tmp_path: Path) -> None:
    state = State(tmp_path / "state.json")
    state.keep("good", _DONE)
    state.keep("bad", Done([], 1.0, "today", "it broke"))
    assert [state.ended(name) for name in ("good", "bad", "never")] == [True, False, False]
