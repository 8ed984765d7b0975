"""What this machine's GPUs are and hold, told by ``nvidia-smi``: the launcher never loads torch."""

import shutil
import subprocess

from models_store.database.tables import Json

_MEBIBYTE = 2**20
_SECONDS = 5.0
_START_SECONDS = 30.0


def names() -> str:
    """What a worker here trains on: the GPUs' names, or ``cpu``."""
    lines = _asked("name", _START_SECONDS)
    return ", ".join(lines)[:200] or "cpu"


def memory() -> Json | None:
    """Bytes that are used, and that there are, on all GPUs together; None where there is none or it does not answer."""
    lines = _asked("memory.used,memory.total", _SECONDS)
    try:
        cards = [[int(number) * _MEBIBYTE for number in line.split(",")] for line in lines]
    except ValueError:  # "[N/A]": cards that share the machine's memory
        return None
    used_and_total = [sum(column) for column in zip(*cards, strict=True)]
    return dict(zip(("used", "total"), used_and_total, strict=True)) if used_and_total else None


def _asked(query: str, seconds: float) -> list[str]:
    """One line a GPU."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    command = [program, f"--query-gpu={query}", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except (subprocess.TimeoutExpired, OSError):
        return []
    return [line.strip() for line in answer.stdout.splitlines() if line.strip()] if answer.returncode == 0 else []
