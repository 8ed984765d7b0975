"""Tell a child that was killed for memory from one that was killed by somebody."""

from pathlib import Path

_PROC = Path("/proc/self/cgroup")
_MOUNT = Path("/sys/fs/cgroup")


def events_file() -> Path:
    """The ``memory.events`` of this process's cgroup (version 2), whether it exists or not."""
    try:
        lines = _PROC.read_text().splitlines()
    except OSError:
        return _MOUNT / "memory.events"
    own = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), "/")
    return _MOUNT / own.strip("/") / "memory.events"


def kills(events: Path) -> int:
    """How many processes of the cgroup the kernel has killed for memory; 0 where it does not tell."""
    try:
        fields = dict(line.split() for line in events.read_text().splitlines())
    except (OSError, ValueError):
        return 0
    return int(fields.get("oom_kill", 0))
