"""``python -m tests.fuzz [TARGET …] --seconds 60 --seed 1``: how many files were tried, and what was found."""

import argparse
import sys
from pathlib import Path

from tests.fuzz.running import kept, run
from tests.fuzz.targets import TARGETS


def main() -> int:
    """Run; the exit code says whether something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-findings"), help="where files of findings go")
    given = parser.parse_args()
    found = 0
    for target in given.targets or TARGETS:
        done = run(target, given.seed, seconds=given.seconds)
        found += len(done.findings)
        seconds, number = done.slowest
        told = (
            f"{done.executions} files, {len(done.findings)} findings; the slowest took {seconds:.2f} s (no. {number})"
        )
        sys.stdout.write(f"{target}: {told}\n")
        for finding in done.findings:
            sys.stdout.write(f"  {kept(finding, given.keep)}: {finding.what.strip().splitlines()[-1]}\n")
        sys.stdout.flush()
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
