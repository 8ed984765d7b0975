"""Are there known vulnerabilities in what `make setup` installs? Fails on findings, not for want of a network.

Asks one vulnerability service after the other until one answers for the pinned packages: what pip-audit could not look
up is not clean, though pip-audit itself then says that it found nothing.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

ANSWERED: Final[tuple[str, ...]] = ()
"""Findings that docs/security.md answers, by their ids."""
_PINS: Final = Path(__file__).parent.parent / "constraints.txt"
_SERVICES: Final[Sequence[Sequence[str]]] = (("pypi",), ("osv",))
_SECONDS: Final = 100


def main(pins: Path, services: Sequence[Sequence[str]]) -> int:
    """Exit status: 1 where there is a finding.

    Args:
        pins: a requirements file.
        services: names of pip-audit's services, each with options of its own.
    """
    for service in services:
        audited = list(_audited(pins, service))
        if audited:
            return _told(service[0], audited, _count(pins))
        _say(f"{service[0]} knows none of the {_count(pins)} pinned packages.")
    _say("NOT AUDITED: no vulnerability service could be asked. Run `make lint` where there is a network.")
    return 0


def _audited(pins: Path, service: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The packages that this service knows; none where it cannot be reached."""
    ignored = [option for finding in ANSWERED for option in ("--ignore-vuln", finding)]
    options = [
        "--requirement",
        str(pins),
        "--no-deps",
        "--disable-pip",
        "--format",
        "json",
        "--progress-spinner",
        "off",
    ]
    command = [sys.executable, "-m", "pip_audit", *options, *ignored, "--timeout", "15", "--vulnerability-service"]
    try:
        done = subprocess.run([*command, *service], capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        _say(f"{service[0]}: no answer within {_SECONDS} seconds")
        return
    if not done.stdout.startswith("{"):  # it stopped before it had a result
        _say(f"{service[0]}: {done.stderr.strip().splitlines()[-1][:200]}")
        return
    found = json.loads(done.stdout)["dependencies"]
    yield from (package for package in found if "skip_reason" not in package)


def _told(service: str, audited: Sequence[dict[str, Any]], pinned: int) -> int:
    findings = [(package, finding) for package in audited for finding in package["vulns"]]
    for package, finding in findings:
        mended = ", ".join(finding["fix_versions"]) or "no version"
        _say(f"{package['name']} {package['version']}: {finding['id']}, mended in {mended}")
    _say(f"{service} knows {len(audited)} of {pinned} pinned packages: {len(findings)} findings.")
    return 1 if findings else 0


def _count(pins: Path) -> int:
    return sum("==" in line for line in pins.read_text().splitlines())


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main(_PINS, _SERVICES))
