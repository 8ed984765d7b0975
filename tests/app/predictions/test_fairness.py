"""What one owner asks keeps nobody else waiting for long."""

import asyncio
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from app.predictions.fairness import Places, Shares, Turns
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


class Busy:
    """Requests of owners that are worked on until they are told to end."""

    def __init__(self, shares: Shares) -> None:
        self._shares = shares
        self.working: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.ends: dict[str, asyncio.Event] = {}

    async def come(self, *names: str) -> None:
        """Requests, named by their owner and a number, as ``ann-1``."""
        for name in names:
            self.ends[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self._work(name))
        await settled()

    async def go(self, *names: str) -> None:
        for name in names:
            self.ends[name].set()
        await settled()

    async def _work(self, name: str) -> None:
        async with self._shares.of(name.partition("-")[0]):
            self.working.append(name)
            try:
                await self.ends[name].wait()
            finally:
                self.working.remove(name)


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_who_is_alone_has_all_shares() -> None:
    async def see() -> None:
        busy = Busy(Shares(2))
        await busy.come(*(f"ann-{number}" for number in range(50)))
        assert len(busy.working) == 50
        await busy.go(*busy.working)
        assert busy.working == []

    asyncio.run(see())


def test_beside_others_an_owner_has_as_many_as_the_busiest_of_them() -> None:
    async def see() -> None:
        busy = Busy(Shares(2))
        await busy.come("bob-1", "bob-2", "bob-3", "cho-1")
        await busy.come(*(f"ann-{number}" for number in range(9)))
        assert Counter(name[:3] for name in busy.working) == {"bob": 3, "cho": 1, "ann": 3}
        await busy.come("bob-4")
        assert "ann-3" in busy.working, "now that the busiest has four"
        await busy.go("bob-4", "ann-3")
        await busy.go("ann-0")
        assert "ann-4" in busy.working, "the first that came is the next"
        await busy.go("bob-1", "bob-2", "bob-3")
        assert [name for name in busy.working if name[:3] == "ann"] == ["ann-1", "ann-2", "ann-4"]
        await busy.go("ann-1", "ann-2")
        assert Counter(name[:3] for name in busy.working) == {"cho": 1, "ann": 2}, "never less than two"
        await busy.go("cho-1")
        assert Counter(name[:3] for name in busy.working) == {"ann": 5}, "alone again"

    asyncio.run(see())


def test_who_is_cancelled_takes_nobodys_share() -> None:
    async def see() -> None:
        busy = Busy(Shares(1))
        await busy.come("bob-1", "ann-1", "ann-2", "ann-3")
        assert busy.working == ["bob-1", "ann-1"]
        busy.tasks["ann-2"].cancel()
        await settled()
        await busy.go("ann-1")
        assert busy.working == ["bob-1", "ann-3"]
        busy.tasks["ann-3"].cancel()
        await settled()
        await busy.go("bob-1")
        await busy.come("cho-1", "dan-1", "ann-4")
        assert sorted(busy.working) == ["ann-4", "cho-1", "dan-1"]

    asyncio.run(see())


def test_who_is_cancelled_as_its_turn_comes_gives_it_on() -> None:
    async def see() -> None:
        busy = Busy(Shares(1))
        await busy.come("bob-1", "ann-1", "ann-2", "ann-3")
        busy.ends["ann-1"].set()
        while "ann-1" in busy.working:
            await asyncio.sleep(0)
        busy.tasks["ann-2"].cancel()
        await settled()
        assert busy.working == ["bob-1", "ann-3"]

    asyncio.run(see())
