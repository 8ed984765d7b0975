"""A run of schemathesis: its own process with the configuration beside this file, against a service that runs."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.e2e.service import ROOT

_CONFIGURATION: Final = Path(__file__).with_name("schemathesis.toml")
_KEYS: Final = "keys.json"


@dataclass(frozen=True)
class Target:
    """A service.

    Args:
        keys: owner → key.
        folder: holds the files and ids that the configuration and the hooks name.
    """

    url: str
    keys: Mapping[str, str]
    folder: Path


@dataclass(frozen=True)
class Run:
    """How schemathesis is run, apart from what its configuration says.

    Args:
        users: whose key is used: the first one's. What it reads of its own, the others must not get.
        seed: the same gives the same requests, as far as the service's answers are the same.
        examples: the most requests of an operation that are made by chance.
        scenarios: how often links are followed from one operation to the next.
        longest_wait: seconds of ``Prefer: wait``.
        thorough: every value at a bound also where each costs seconds.
    """

    users: Sequence[str]
    seed: int
    examples: int
    scenarios: int
    longest_wait: int
    thorough: bool
    phases: Sequence[str] = ("examples", "coverage", "fuzzing", "stateful")


def perform(run: Run, target: Target, seconds: float) -> str:
    """Run all checks; gives what schemathesis printed, and fails where it found anything."""
    (target.folder / _CONFIGURATION.name).write_text(_configuration(run))
    (target.folder / _KEYS).write_text(json.dumps({"auth": _users(run, target)}))
    done = subprocess.run(
        _command(run, target.url),
        cwd=target.folder,
        env=_environment(run, target),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def _configuration(run: Run) -> str:
    """The file beside this one, with what schemathesis itself does not fill in: numbers, and a list."""
    peers = f"peers = {json.dumps(run.users)}" if len(run.users) > 1 else ""
    filled = {
        "${CONTRACT_SCENARIOS}": str(run.scenarios),
        "${CONTRACT_THOROUGH}": str(run.thorough).lower(),
        "${CONTRACT_COSTLY}": str(run.examples if run.thorough else 2),
        "# peers": peers,
    }
    text = _CONFIGURATION.read_text("utf-8")
    for place, value in filled.items():
        text = text.replace(place, value)
    return text


def _users(run: Run, target: Target) -> list[dict[str, Any]]:
    """Who there is, in the form of Web Fuzzing Commons."""
    headers = {name: {"name": "Authorization", "value": f"Bearer {target.keys[name]}"} for name in run.users}
    return [{"name": name, "fixedHeaders": [header]} for name, header in headers.items()]


def _command(run: Run, url: str) -> list[str]:
    program = [sys.executable, "-m", "schemathesis.cli", "--config-file", _CONFIGURATION.name]
    options = ["--phases", ",".join(run.phases), "--seed", str(run.seed), "--max-examples", str(run.examples)]
    return [*program, "run", f"{url}/openapi.json", "--checks", "all", *options, "--no-color"]


def _environment(run: Run, target: Target) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "CONTRACT_URL": target.url,
        "CONTRACT_USER": run.users[0],
        "CONTRACT_FOLDER": str(target.folder),
        "CONTRACT_LONGEST_WAIT": str(run.longest_wait),
    }
