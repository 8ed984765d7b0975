"""A load of one address by wrk, and what wrk says of it."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Final

_SECONDS: Final = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}
_RATE: Final = re.compile(r"Requests/sec:\s+([\d.]+)")
_COUNT: Final = re.compile(r"^\s+(\d+) requests in ", re.MULTILINE)
_PERCENTILE: Final = r"^\s+{}%\s+([\d.]+)(us|ms|s|m)\s*$"
_REFUSED: Final = re.compile(r"Non-2xx or 3xx responses: (\d+)")
_BROKEN: Final = re.compile(r"Socket errors: (.*)")
_TIMEOUT_SECONDS: Final = 30


@dataclass(frozen=True)
class Load:
    """Requests a second, and the seconds that half and 99 % of the requests took at most."""

    rate: float
    p50: float
    p99: float


class LoadError(Exception):
    """The load says nothing about speed: wrk is missing, or there were answers that are no answers."""


class NoAnswerError(LoadError):
    """Not one request was answered in the time."""


def load(
    url: str, body: Path, *, connections: int, seconds: float, script: Path, environment: Mapping[str, str]
) -> Load:
    """Post ``body`` over so many connections for so long, each sending as soon as it has its answer.

    ``script`` is wrk's, and finds the body's file in ``BODY``; ``environment`` is for what else it wants.

    Raises:
        LoadError: wrk is not installed, cannot do it, or met answers other than 200.
    """
    wrk = shutil.which("wrk")
    if wrk is None:
        raise LoadError("wrk is not on the PATH. Install it, on Debian with `apt-get install wrk`.")
    length = max(1, round(seconds))
    options = ["-t1", f"-c{connections}", f"-d{length}s", "--timeout", f"{_TIMEOUT_SECONDS}s", "--latency"]
    command = [wrk, *options, "-s", str(script), url]
    variables = {**os.environ, **environment, "BODY": str(body)}
    ended = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if ended.returncode or ended.stderr:
        raise LoadError(f"wrk could not load {url}: {(ended.stderr or ended.stdout).strip()[-500:]}")
    return parsed(ended.stdout)


def parsed(output: str) -> Load:
    """What ``wrk --latency`` printed.

    Raises:
        NoAnswerError: there were no answers.
        LoadError: some were errors, or something is missing in the output.
    """
    for problem in (_REFUSED.search(output), _BROKEN.search(output)):
        if problem:
            raise LoadError(f"Not every request was answered well: {problem.group(0)}.")
    rate, count = _RATE.search(output), _COUNT.search(output)
    if rate is None or count is None:
        raise LoadError(f"wrk did not say how many requests there were: {output[-500:]}")
    if not int(count.group(1)):
        raise NoAnswerError("Not one request was answered in time. Make the load longer.")
    return Load(float(rate.group(1)), _percentile(output, 50), _percentile(output, 99))


def average(loads: Sequence[Load]) -> Load:
    """The mean of several loads of the same kind."""
    return Load(mean(one.rate for one in loads), mean(one.p50 for one in loads), mean(one.p99 for one in loads))


def _percentile(output: str, percent: int) -> float:
    found = re.search(_PERCENTILE.format(percent), output, re.MULTILINE)
    if found is None:
        raise LoadError(f"wrk did not say what {percent} % of the requests took: {output[-500:]}")
    return float(found.group(1)) * _SECONDS[found.group(2)]
