"""Items of all requests go through an engine together: in turn, and each by itself where one is bad."""

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from typing import Any

import pytest
import torch
from torch import Tensor

from app.predictions import batching
from app.predictions.batching import MAX_BATCH, Batcher
from app.predictions.tickets import Ticket
from models_store.errors import UnavailableError
from models_store.predictor import Judged
from models_store.preprocessing.protocol import Prepared
from tests.app.service import until

FAR = time.monotonic() + 1e6


def item(value: float, tokens: int = 1) -> Prepared:
    return Prepared({"value": torch.tensor([value])}, {"tokens": tokens})


class Doubles:
    """Doubles its items, notes its batches, and can be held."""

    def __init__(self, key: str = "one", batches: list[list[float]] | None = None, parallel: int = 1) -> None:
        self.key, self.parallel = key, parallel
        self.batches: list[list[float]] = [] if batches is None else batches
        self.gate, self.begun = threading.Event(), threading.Event()
        self.gate.set()

    def run(self, items: Sequence[Prepared]) -> Tensor:
        values = torch.cat([one.tensors["value"] for one in items])
        self.batches.append(values.tolist())
        self.begun.set()
        self.gate.wait(10)
        if (values < 0).any():
            raise ValueError("negative")
        return values[:, None] * 2

    def judge(self, features: Tensor) -> list[Judged]:
        return [Judged(row, [], None) for row in features]

    def length(self, one: Prepared) -> int:
        return int(one.diagnostics["tokens"])


@pytest.fixture
def batcher() -> Iterator[Batcher]:
    made = Batcher()
    yield made
    made.stop()


def hold(batcher: Batcher, engine: Doubles) -> Ticket:
    """Let the engine be at work on something, so that what comes now waits together."""
    engine.gate.clear()
    ticket = batcher.submit(engine, [item(0)], FAR)
    engine.begun.wait(10)
    return ticket


def values(ticket: Ticket) -> list[float]:
    return [float(one.logits) for one in ticket.judged()]


def test_each_request_gets_its_own_features_in_order(batcher: Batcher) -> None:
    engine = Doubles()
    held = hold(batcher, engine)
    tickets = [batcher.submit(engine, [item(10 * n), item(10 * n + 1)], FAR) for n in range(5)]
    engine.gate.set()
    assert values(held) == [0]
    assert [values(ticket) for ticket in tickets] == [[20 * n, 20 * n + 2] for n in range(5)]
    assert len(engine.batches) == 2


def test_a_lone_item_does_not_wait_for_others(batcher: Batcher) -> None:
    engine = Doubles()
    assert values(batcher.submit(engine, [item(3)], FAR)) == [6]
    assert engine.batches == [[3]]


def test_batches_are_bounded(batcher: Batcher) -> None:
    engine = Doubles()
    hold(batcher, engine)
    ticket = batcher.submit(engine, [item(n) for n in range(3 * MAX_BATCH)], FAR)
    engine.gate.set()
    assert values(ticket) == [2 * n for n in range(3 * MAX_BATCH)]
    assert [len(batch) for batch in engine.batches] == [1, *[MAX_BATCH] * 3]


def test_a_small_request_is_not_held_up_by_a_large_one(batcher: Batcher) -> None:
    engine = Doubles()
    hold(batcher, engine)
    batcher.submit(engine, [item(n) for n in range(10 * MAX_BATCH)], FAR)
    small = batcher.submit(engine, [item(0.5)], FAR)
    engine.gate.set()
    assert values(small) == [1]
    assert 0.5 in engine.batches[1]


class Negates(Doubles):
    """A model on the same trunk as others."""

    def judge(self, features: Tensor) -> list[Judged]:
        return super().judge(-features)


def test_models_on_one_trunk_share_batches_and_judge_for_themselves(batcher: Batcher) -> None:
    first, second = Doubles(), Negates()
    hold(batcher, first)
    tickets = [batcher.submit(one, [item(n), item(n + 10)], FAR) for n, one in enumerate((first, second, first))]
    first.gate.set()
    assert [values(ticket) for ticket in tickets] == [[0, 20], [-2, -22], [4, 24]]
    assert [sorted(batch) for batch in first.batches[1:]] == [[0, 1, 2, 10, 11, 12]]
    assert second.batches == []


def test_models_take_turns(batcher: Batcher) -> None:
    batches: list[list[float]] = []
    first, second = Doubles("first", batches), Doubles("second", batches)
    hold(batcher, first)
    many = [batcher.submit(first, [item(n) for n in range(3 * MAX_BATCH)], FAR) for _ in range(2)]
    other = batcher.submit(second, [item(0.5) for n in range(2 * MAX_BATCH)], FAR)
    first.gate.set()
    for ticket in (*many, other):
        ticket.judged()
    assert [0.5 in batch for batch in batches[1:6]] in (
        [True, False, True, False, False],
        [False, True, False, True, False],
    )


def test_texts_of_like_length_go_together(batcher: Batcher) -> None:
    engine = Doubles()
    hold(batcher, engine)
    tickets = [batcher.submit(engine, [item(n, tokens=10 if n % 2 else 400)], FAR) for n in range(8)]
    engine.gate.set()
    assert [values(ticket) for ticket in tickets] == [[2 * n] for n in range(8)]
    assert sorted(sorted(batch) for batch in engine.batches[1:]) == [[0, 2, 4, 6], [1, 3, 5, 7]]


def test_a_bad_item_fails_alone(batcher: Batcher) -> None:
    engine = Doubles()
    hold(batcher, engine)
    good, bad, other = (batcher.submit(engine, [item(n)], FAR) for n in (1, -1, 2))
    engine.gate.set()
    assert (values(good), values(other)) == ([2], [4])
    with pytest.raises(ValueError, match="negative"):
        bad.judged()
    assert values(batcher.submit(engine, [item(5)], FAR)) == [10]


def test_what_nobody_waits_for_is_not_computed(batcher: Batcher) -> None:
    engine = Doubles()
    hold(batcher, engine)
    left, stays = batcher.submit(engine, [item(7)], FAR), batcher.submit(engine, [item(8)], FAR)
    batcher.cancel(left)
    engine.gate.set()
    assert values(stays) == [16]
    with pytest.raises(CancelledError):
        left.judged()
    assert [7] not in engine.batches
    assert engine.batches[1:] == [[8]]


def test_what_comes_too_late_is_told_so(batcher: Batcher) -> None:
    engine = Doubles()
    hold(batcher, engine)
    late = batcher.submit(engine, [item(7)], time.monotonic() - 1)
    engine.gate.set()
    with pytest.raises(UnavailableError) as refused:
        late.judged()
    assert refused.value.code == "prediction_timeout"
    assert values(batcher.submit(engine, [item(8)], FAR)) == [16]
    assert [7] not in engine.batches


def test_a_batcher_that_stops_refuses_what_waits_and_what_comes() -> None:
    batcher, engine = Batcher(), Doubles()
    held = hold(batcher, engine)
    waiting = batcher.submit(engine, [item(1)], FAR)
    stopping = threading.Thread(target=batcher.stop)
    stopping.start()
    refused: list[Any] = []
    while not refused:
        try:
            batcher.submit(engine, [item(2)], FAR)
        except UnavailableError as error:
            refused.append(error.code)
    engine.gate.set()
    stopping.join(10)
    with pytest.raises(UnavailableError) as told:
        waiting.judged()
    assert (refused, told.value.code, values(held)) == (["stopping"], "stopping", [0])


def test_a_batch_is_shared_evenly_by_the_owners_who_wait(batcher: Batcher) -> None:
    engine = Doubles()
    held = hold(batcher, engine)
    flood = [batcher.submit(engine, [item(100 + n)], FAR, "mallory") for n in range(3 * MAX_BATCH)]
    few = [batcher.submit(engine, [item(n)], FAR, "ann") for n in (1, 2)]
    engine.gate.set()
    assert [values(ticket) for ticket in few] == [[2], [4]]
    assert all(values(ticket) for ticket in [held, *flood])
    assert sorted(engine.batches[1]) == [1, 2, 100, 101]
    assert len(engine.batches[2]) == MAX_BATCH


def test_owners_take_turns_before_models_do(batcher: Batcher) -> None:
    order: list[list[float]] = []
    engines = [Doubles(str(n), order) for n in range(5)]
    held = hold(batcher, engines[0])
    flood = [batcher.submit(one, [item(100 + n)], FAR, "mallory") for n, one in enumerate(engines) for _ in range(20)]
    own = Doubles("own", order)
    first = batcher.submit(own, [item(1) for _ in range(3 * MAX_BATCH)], FAR, "ann")
    engines[0].gate.set()
    assert len(values(first)) == 3 * MAX_BATCH
    assert values(held) == [0]
    whose = ["ann" if batch[0] == 1 else "mallory" for batch in order[1:]]
    assert whose[:6].count("ann") == 3
    assert all(values(ticket) for ticket in flood)


@pytest.fixture
def two_lanes() -> Iterator[Batcher]:
    made = Batcher(2)
    yield made
    made.stop()


def both_hold(batcher: Batcher, engine: Doubles) -> None:
    """Two batches are at work at once, or this never ends."""
    engine.gate.clear()
    for number in (1, 2):
        batcher.submit(engine, [item(0)], FAR)
        until(lambda: len(engine.batches) == number, 10, "a batch is at work")  # noqa: B023 - called at once


def test_batches_of_an_engine_that_takes_several_run_at_once_and_share_what_waits(two_lanes: Batcher) -> None:
    engine = Doubles(parallel=2)
    both_hold(two_lanes, engine)
    tickets = [two_lanes.submit(engine, [item(n)], FAR) for n in range(1, 9)]
    engine.gate.set()
    assert [values(ticket) for ticket in tickets] == [[2 * n] for n in range(1, 9)]
    assert [value for batch in engine.batches[:2] for value in batch] == [0.0] * 2
    assert len(engine.batches[2]) in {4, 8}  # 8 where the other lane was still at its first


def test_what_waits_is_divided_among_the_lanes_that_are_free(two_lanes: Batcher) -> None:
    engine = Doubles(parallel=2)
    engine.gate.clear()
    two_lanes.submit(engine, [item(n) for n in range(8)], FAR)
    until(lambda: len(engine.batches) == 2, 10, "both lanes are at work")
    engine.gate.set()
    assert [len(batch) for batch in engine.batches] == [4, 4]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """More items are waited for as long as a test may take, where they are waited for at all."""
    monkeypatch.setattr(batching, "_QUIET", 60.0)


@pytest.mark.usefixtures("patient")
def test_beside_a_batch_that_runs_the_next_begins_with_some_items(two_lanes: Batcher) -> None:
    engine = Doubles(parallel=2)
    held = hold(two_lanes, engine)
    few = [two_lanes.submit(engine, [item(n)], FAR) for n in (1, 2, 3)]
    time.sleep(0.2)
    assert engine.batches == [[0]]
    few.append(two_lanes.submit(engine, [item(4)], FAR))
    until(lambda: len(engine.batches) == 2, 10, "the second lane is at work")
    engine.gate.set()
    assert [values(ticket) for ticket in (held, *few)] == [[0], [2], [4], [6], [8]]
    assert engine.batches == [[0], [1, 2, 3, 4]]


@pytest.mark.usefixtures("patient")
def test_when_no_batch_runs_any_more_nothing_is_waited_for(two_lanes: Batcher) -> None:
    engine = Doubles(parallel=2)
    held = hold(two_lanes, engine)
    lone = two_lanes.submit(engine, [item(1)], FAR)
    engine.gate.set()
    assert [values(held), values(lone)] == [[0], [2]]


@pytest.mark.usefixtures("patient")
def test_items_of_another_engine_are_not_waited_for(two_lanes: Batcher) -> None:
    engine, other = Doubles(parallel=2), Doubles("other", parallel=2)
    hold(two_lanes, engine)
    waiting = two_lanes.submit(engine, [item(1)], FAR)
    assert values(two_lanes.submit(other, [item(2)], FAR)) == [4]
    engine.gate.set()
    assert values(waiting) == [2]


def test_an_engine_that_takes_one_batch_at_a_time_gets_one(two_lanes: Batcher) -> None:
    engine, other = Doubles(), Doubles("other")
    hold(two_lanes, engine)
    waiting = two_lanes.submit(engine, [item(1)], FAR)
    assert values(two_lanes.submit(other, [item(2)], FAR)) == [4]  # the lane beside it is not held up
    assert engine.batches == [[0]]
    engine.gate.set()
    assert values(waiting) == [2]


@pytest.mark.timeout(30)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_lane_that_ends_by_a_fault_of_its_own_leaves_nobody_waiting() -> None:
    """Also where another lane has struck the request off meanwhile, as nothing of it waits for a turn any more."""
    ending, tidied = threading.Event(), threading.Event()

    def faulty(items: int, seconds: float) -> None:
        del items, seconds
        if not ending.is_set():
            ending.set()
            tidied.wait(10)
            raise SystemExit  # the thread ends, and says nothing

    batcher = Batcher(2, faulty)
    ticket = batcher.submit(Doubles(), [item(1)], FAR)
    assert ending.wait(10)
    assert values(batcher.submit(Doubles("other"), [item(2)], FAR)) == [4]
    tidied.set()
    with pytest.raises(UnavailableError) as told:
        ticket.judged()
    assert told.value.code == "stopping"
    batcher.stop()
