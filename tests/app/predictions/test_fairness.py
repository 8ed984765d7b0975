"""What one owner asks keeps nobody else waiting for long."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from app.predictions.fairness import Places, Turns
from models_store.errors import UnavailableError


def _taken(places: Places, owner: str, stack: ExitStack) -> int:
    """Take places of this owner until there is none."""
    count = 0
    while True:
        try:
            stack.enter_context(places.of(owner))
        except UnavailableError as error:
            assert error.code == "overloaded"
            return count
        count += 1


def test_one_owner_gets_three_quarters_and_all_together_no_more_than_there_are() -> None:
    places = Places(8)
    with ExitStack() as stack:
        assert _taken(places, "mallory", stack) == 6
        assert _taken(places, "ann", stack) == 2
        assert _taken(places, "bob", stack) == 0
    with ExitStack() as stack:
        assert _taken(places, "bob", stack) == 6


@pytest.mark.parametrize(("most", "each"), [(1, 1), (2, 2), (3, 3), (4, 3)])
def test_of_few_places_one_owner_gets_some(most: int, each: int) -> None:
    with ExitStack() as stack:
        assert _taken(Places(most), "ann", stack) == each


def test_a_place_is_given_back_where_the_block_fails() -> None:
    places = Places(1)
    for _ in range(3):
        with pytest.raises(KeyError), places.of("ann"):
            raise KeyError


def test_turns_are_waited_for_by_their_own_owner_alone() -> None:
    turns, gate, within = Turns(2), threading.Event(), threading.Semaphore(0)

    def work(owner: str) -> None:
        with turns.of(owner):
            within.release()
            assert gate.wait(10)

    with ThreadPoolExecutor(5) as threads:
        first = [threads.submit(work, "mallory") for _ in range(4)]
        assert all(within.acquire(timeout=10) for _ in range(2))
        other = threads.submit(work, "ann")
        assert within.acquire(timeout=10)
        assert not within.acquire(blocking=False)
        gate.set()
        for one in [*first, other]:
            one.result(10)
    assert not turns._gates  # nothing is remembered of anybody
