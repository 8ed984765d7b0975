"""``python -m bench --data DIR --peers DIR --torch-home DIR``: run every part and print one table.

Data, peers and weights are not part of this project; the options name folders that hold them. A part that fails is
told in the table and hides no other. Parts that are in ``--state`` already are not run again.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from bench import machine, page
from bench.given import Given
from bench.parts import PARTS
from bench.performing import perform
from bench.state import Done, State

LONGEST_SECONDS: Final = 20 * 60.0
_BUILD: Final = Path("build") / "bench"


def main() -> int:
    """Entry point; fails when an aim is missed, a part fails, or all of it took too long."""
    chosen = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is stopped
    given = Given(
        chosen.data.resolve(),
        chosen.peers.resolve(),
        chosen.torch_home.resolve(),
        chosen.cache.resolve(),
        chosen.seconds,
        chosen.rounds,
    )
    state = State(chosen.state)
    page.around(chosen.output)  # to find out now, not after twenty minutes, that it cannot be written

    def write() -> None:
        page.put(chosen.output, page.section(state.parts, list(PARTS), [*machine.told(), _took(state.parts)]))

    perform({name: PARTS[name] for name in chosen.only}, given, state, write)
    write()
    Console(width=max(120, Console().width)).print(_table(state.parts, chosen.only))
    print(_took(state.parts))
    met = all(_met(state.parts[name]) for name in chosen.only)
    return 0 if met and _seconds(state.parts) <= LONGEST_SECONDS else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the data sets")
    parser.add_argument("--peers", type=Path, required=True, help="folder with manual_loop.py and the serving peers")
    parser.add_argument("--torch-home", type=Path, required=True, help="TORCH_HOME with SqueezeNet's weights")
    parser.add_argument("--cache", type=Path, default=_BUILD, help="folder for the peers' virtual environment")
    parser.add_argument("--only", type=parts_named, default=list(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--state", type=Path, help="JSON file with the parts that have ended; made if missing")
    parser.add_argument("--output", type=Path, default=Path("docs/performance.md"), help="page that gets the results")
    parser.add_argument(
        "--seconds", type=float, default=2.0, help="of one load by one connection; more have twice as long"
    )
    parser.add_argument("--rounds", type=int, default=2, help="loads of each cell, in turns with its peer")
    return parser.parse_args()


def parts_named(text: str) -> list[str]:
    """Names of parts, separated by commas, in the order in which they run.

    Raises:
        argparse.ArgumentTypeError: there is no such part.
    """
    wanted = {name.strip() for name in text.split(",")}
    if unknown := wanted - set(PARTS):
        raise argparse.ArgumentTypeError(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    return [name for name in PARTS if name in wanted]


def _took(parts: dict[str, Done]) -> str:
    return f"{len(parts)} of {len(PARTS)} parts took {_seconds(parts):.0f} s; all may take {LONGEST_SECONDS:.0f} s."


def _seconds(parts: dict[str, Done]) -> float:
    return sum(done.seconds for done in parts.values())


def _met(done: Done) -> bool:
    return not done.failure and all(one.met for one in done.measurements)


def _table(parts: dict[str, Done], names: Sequence[str]) -> Table:
    table = Table("measured", "ours", "beside it", "ratio", "aim", "met")
    for name in names:
        table.add_section()
        if failure := parts[name].failure:
            table.add_row(name, "", failure[-300:], "", "", "failed")
        for one in parts[name].measurements:
            met = "yes" if one.met else "no"
            table.add_row(one.what, one.ours_told, one.peer_told, f"{one.ratio:.2f}", one.aim_told, met)
    return table


if __name__ == "__main__":
    sys.exit(main())
