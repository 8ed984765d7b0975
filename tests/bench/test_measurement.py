"""A comparison knows on which side of its aim it lies."""

import pytest

from bench.measurement import Measurement


@pytest.mark.parametrize(("ratio", "met"), [(1.39, False), (1.4, True), (1.5, True)])
def test_a_ratio_must_reach_the_aim(ratio: float, met: bool) -> None:
    assert Measurement("x", 1, 1, "s", ratio, 1.4).met is met


@pytest.mark.parametrize(("ratio", "met"), [(1.1, True), (1.2, True), (1.21, False)])
def test_a_share_must_not_pass_the_aim(ratio: float, met: bool) -> None:
    assert Measurement("x", 1, 1, "MiB", ratio, 1.2, at_most=True).met is met


@pytest.mark.parametrize(("ours", "met"), [(0.0, True), (50.0, True), (50.1, False)])
def test_a_figure_must_stay_within_its_limit(ours: float, met: bool) -> None:
    assert Measurement.within("x", ours, 50.0, "ms").met is met


def test_a_row_says_which_way_its_aim_points() -> None:
    assert Measurement("x", 1, 1, "s", 1, 1.4).aim_told == "≥ 1.40"
    assert Measurement("x", 1, 1, "s", 1, 1.2, at_most=True).aim_told == "≤ 1.20"
