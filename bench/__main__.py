"""``python -m bench --data DIR --peers DIR --torch-home DIR``: run every measurement and print a table.

Data, peers and weights are not part of this project; the options name folders that hold them.
"""

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.frozen_job import measure
from bench.measurement import Measurement


def main() -> int:
    """Entry point; fails when an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with hymenoptera.zip")
    parser.add_argument("--peers", type=Path, required=True, help="folder with manual_loop.py")
    parser.add_argument("--torch-home", type=Path, required=True, help="TORCH_HOME with SqueezeNet's weights")
    chosen = parser.parse_args()
    results = measure(chosen.data, chosen.peers, chosen.torch_home)
    Console().print(_table(results))
    return 0 if all(result.met for result in results) else 1


def _table(results: list[Measurement]) -> Table:
    table = Table("measured", "ours", "peer", "ratio", "aim", "met")
    for one in results:
        table.add_row(
            one.what, one.ours_told, one.peer_told, f"{one.ratio:.2f}", f"≥ {one.aim:g}", "yes" if one.met else "no"
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
