import asyncio
import threading
import time

import pytest

from app import waiting


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (None, 0),
        ("wait=10", 10),
        ("respond-async, wait=10", 10),
        ("wait = 3 ; x=1", 3),
        ('wait="7"', 7),
        ("WAIT=5", 5),
        ("wait=100000", 60),
        ("wait=-1", 0),
        ("wait=1.5", 0),
        ("wait", 0),
        ("await=9", 0),
    ],
)
def test_the_preference_is_read_as_rfc_7240_says(prefer: str | None, seconds: float) -> None:
    assert waiting.seconds(prefer) == seconds


async def _wait(prefer: str | None, stopping: threading.Event) -> bool:
    return await waiting.wait(lambda: False, lambda over: over, prefer, stopping)


def test_waiting_ends_when_the_process_is_being_stopped() -> None:
    stopping = threading.Event()
    stopping.set()
    started = time.monotonic()
    asyncio.run(_wait("wait=60", stopping))
    assert time.monotonic() - started < 5


def test_without_the_preference_nothing_is_waited_for() -> None:
    started = time.monotonic()
    asyncio.run(_wait(None, threading.Event()))
    assert time.monotonic() - started < 0.2
