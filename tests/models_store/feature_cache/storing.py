"""A process that stores segments until it is killed: ``python -m …storing STORE FIRST LIMIT``."""

import sys
from itertools import count
from pathlib import Path

from models_store.feature_cache.shelf import Keeper
from tests.models_store.feature_cache.rows import features, items, shelf

ROWS = 500


def main(store: Path, first: int, limit: int) -> None:
    """Each keeper is a pass of its own, and so may push out what the last one stored."""
    for number in count():
        with Keeper(shelf(store, data_set=f"sha256:{number % 3}", limit=limit)) as keeper:
            chosen = items(first + number % 40 * ROWS, ROWS)
            keeper.add(chosen, features(chosen))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
