"""The side that starts the confined process; it needs neither torch nor trust in the file."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import structlog

from models_store.errors import InvalidError, UnavailableError
from models_store.quarantine.limits import excessive, wall_seconds

_KEPT: Final = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR")
"""The child's whole environment: no keys, no addresses of databases."""
_log = structlog.get_logger()


def extract(source: Path, destination: Path) -> None:
    """Let a confined process write the tensors of ``source``, by its suffix a pickle or safetensors, as safetensors.

    The order of the tensors is noted in ``destination``, and nothing else of the file is kept.

    Raises:
        InvalidError: ``unsafe_weights`` when the file holds anything but tensors and plain values,
            ``unreadable_weights`` when it cannot be read, holds no tensors, or takes more memory or time than its
            size explains.
        UnavailableError: ``quarantine_failed``, the process could not do its work here.
    """
    command = [sys.executable, "-P", "-m", "models_store.quarantine", str(source), str(destination)]
    try:
        done = subprocess.run(
            command,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=wall_seconds(source.stat().st_size),
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise excessive() from error
    if done.stdout:
        raise InvalidError(**json.loads(done.stdout))
    if done.returncode < 0:
        raise excessive()
    if done.returncode or not destination.is_file():
        _log.error("quarantine_failed", exit_code=done.returncode, said=done.stderr.decode(errors="replace")[-2000:])
        message = "The file could not be looked into here. Try again; if it repeats, see the service's log."
        raise UnavailableError("quarantine_failed", message)


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PYTHONUTF8": "1"}
