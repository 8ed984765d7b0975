"""What models share is made once, and leaves with the last of them."""

import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.predictions.sharing import Shared


class Thing:
    """Something that may be shared."""


def test_a_value_is_made_once_for_as_long_as_somebody_has_it() -> None:
    shared: Shared[Thing] = Shared()
    first = shared.get("a", Thing)
    assert shared.get("a", Thing) is first
    assert shared.get("b", Thing) is not first
    made: list[int] = []

    def again() -> Thing:
        made.append(1)
        return Thing()

    del first
    gc.collect()
    assert isinstance(shared.get("a", again), Thing)
    assert made == [1]


def test_who_asks_while_it_is_made_waits_and_nobody_else_does() -> None:
    shared: Shared[Thing] = Shared()
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> Thing:
        begun.set()
        go_on.wait(10)
        return Thing()

    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(shared.get, "slow", slow)
        begun.wait(10)
        second = threads.submit(shared.get, "slow", slow)
        assert isinstance(threads.submit(shared.get, "quick", Thing).result(10), Thing)
        go_on.set()
        assert first.result(10) is second.result(10)


def test_a_failure_is_told_and_tried_again() -> None:
    shared: Shared[Thing] = Shared()

    def broken() -> Thing:
        raise OSError("gone")

    for _ in range(2):
        with pytest.raises(OSError, match="gone"):
            shared.get("a", broken)
    assert isinstance(shared.get("a", Thing), Thing)
