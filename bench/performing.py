"""Run parts one after the other; one that fails is told and hides no other."""

import time
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from bench.given import Given
from bench.measurement import Measurement
from bench.state import Done, State

Part = Callable[[Given], list[Measurement]]


def perform(parts: Mapping[str, Part], given: Given, state: State, after_each: Callable[[], None]) -> None:
    """Run what has not ended yet, and keep each part as soon as it has."""
    for name, part in parts.items():
        if not state.ended(name):
            print(f"{name} …", flush=True)
            done = _done(part, given)
            print(f"{name}: {done.seconds:.0f} s{', failed' if done.failure else ''}", flush=True)
            state.keep(name, done)
            after_each()


def _done(part: Part, given: Given) -> Done:
    started, date = time.perf_counter(), f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    measurements: list[Measurement] = []
    failure = ""
    try:
        measurements = part(given)
    except Exception as error:  # noqa: BLE001 - whatever it is: it is told, and the other parts are still wanted
        traceback.print_exc()
        failure = f"{type(error).__name__}: {error}"
    return Done(measurements, time.perf_counter() - started, date, failure)
