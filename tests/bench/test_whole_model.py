"""How long epochs took, by what a job tells of them; and what is aimed for."""

from typing import Any

import pytest

from bench.whole_model import compared, epoch_seconds


def told(*seconds: float) -> list[dict[str, Any]]:
    ends = [{"type": "metrics", "created_at": f"2026-01-01T00:00:{second:06.3f}Z"} for second in seconds]
    return [{"type": "status", "created_at": "2026-01-01T00:00:00.000Z"}, *ends]


def test_an_epoch_lasts_from_the_end_of_the_one_before_and_the_first_does_not_count() -> None:
    assert epoch_seconds(told(9.0, 12.0, 16.5)) == pytest.approx([3.0, 4.5])


@pytest.mark.parametrize("seconds", [(9.0, 9.001, 12.0), (9.0,)], ids=["told together", "one alone"])
def test_epochs_that_are_not_told_one_by_one_are_refused(seconds: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="one by one"):
        epoch_seconds(told(*seconds))


@pytest.mark.parametrize(("bfloat16", "met"), [(True, False), (False, True)])
def test_the_manuals_loop_is_to_be_passed_twice_only_where_the_cpu_has_bfloat16(bfloat16: bool, met: bool) -> None:
    manual, tuned = compared(15.0, 10.0, 15.0, bfloat16=bfloat16)
    assert (manual.met, tuned.met) == (met, True)
