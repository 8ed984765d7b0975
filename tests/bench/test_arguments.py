"""Parts are chosen by name."""

import argparse

import pytest

from bench.__main__ import parts_named
from bench.parts import PARTS


def test_chosen_parts_run_in_their_usual_order() -> None:
    first, *_, last = PARTS
    assert parts_named(f"{last}, {first}") == [first, last]


def test_a_part_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"no part nonsense; there are .*serving"):
        parts_named("serving,nonsense")
