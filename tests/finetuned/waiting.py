"""Waiting on a condition with a deadline."""

import time
from collections.abc import Callable


def until(condition: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    """Return when the condition holds; fail if it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)
