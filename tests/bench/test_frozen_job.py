"""What the rows of frozen jobs say."""

import pytest

from bench.frozen_job import Run, compared, computed

_FIRST = Run(10.0, 0.95, 397)
_LATER = [Run(4.0, 0.96, 0), Run(5.0, 0.97, 0)]
_PEER = Run(150.0, 0.96)


def test_a_job_that_ran_the_backbone_for_nothing_meets_the_aim() -> None:
    rows = {row.what: row for row in compared([_FIRST, *_LATER], Run(14.0, 0.9, 397), _PEER)}
    assert all(row.met for row in rows.values())


def test_a_second_job_that_runs_the_backbone_for_one_item_misses_the_aim() -> None:
    rows = compared([_FIRST, Run(4.0, 0.96, 1), _LATER[1]], Run(14.0, 0.9, 397), _PEER)
    assert [row.what.rpartition(": ")[2] for row in rows if not row.met] == ["items that the backbone ran over"]


def test_a_hundred_epochs_are_compared_with_ten() -> None:
    rows = compared([_FIRST, *_LATER], Run(16.0, 0.9, 397), _PEER)
    assert [(row.ratio, row.met) for row in rows if "100 epochs" in row.what] == [(1.6, False)]


def test_what_was_computed_is_summed_over_the_history() -> None:
    events = [
        {"type": "status", "data": {"status": "running"}},
        {"type": "log", "data": {"message": "features of the items of the probe", "cached": 0, "computed": 30}},
        {"type": "log", "data": {"message": "features of all items", "cached": 30, "computed": 70}},
    ]
    assert computed(events) == 100


def test_a_history_that_does_not_tell_is_no_proof() -> None:
    with pytest.raises(RuntimeError, match="does not say"):
        computed([{"type": "log", "data": {"message": "nothing of the kind"}}])
