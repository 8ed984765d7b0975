"""Processes that are killed while they store, again and again, leave nothing but whole rows or none."""

import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from tests.models_store.feature_cache.rows import WIDTH, features, files, items, recalled, shelf
from tests.models_store.feature_cache.storing import ROWS

ROOT = Path(__file__).parents[3]
BOUND = 40 * ROWS * (4 * WIDTH + 32)
"""About half of what the processes would store: they remove one another's files meanwhile."""
EVERY = 80 * ROWS


def start(store: Path, first: int) -> subprocess.Popen[bytes]:
    """A process that stores."""
    command = [sys.executable, "-m", "tests.models_store.feature_cache.storing", str(store), str(first), str(BOUND)]
    return subprocess.Popen(command, cwd=ROOT)


def wait_for_more(store: Path, before: set[Path], several: int) -> None:
    """Until some segments are new; then a little more of the next one is written."""
    deadline = time.monotonic() + 60
    while len(set(files(store)) - before) < several:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_every_row_that_is_found_after_kills_is_what_was_stored(tmp_path: Path) -> None:
    chance = random.Random(0)
    for _ in range(6):
        before = set(files(tmp_path))
        writers = [start(tmp_path, 0), start(tmp_path, 40 * ROWS)]
        wait_for_more(tmp_path, before, chance.randrange(5, 25))
        time.sleep(chance.random() / 100)  # so that it falls anywhere into the writing of a segment
        for writer in writers:
            writer.kill()
        for writer in writers:
            writer.wait()
        wanted = items(0, EVERY)
        found, values = recalled(shelf(tmp_path), wanted)
        assert found.any()
        assert np.array_equal(values[found], features(wanted[found]))
        assert not values[~found].any()
    assert sum(file.stat().st_size for file in files(tmp_path)) <= BOUND + 2 * ROWS * (4 * WIDTH + 40)
