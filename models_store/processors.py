"""The processors: how many this process may use, what they can, and how OpenMP is to share them with others."""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_CPUINFO: Final = Path("/proc/cpuinfo")
_BFLOAT16: Final = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
_OWN: Final = Path("/proc/self/cgroup")
_MOUNT: Final = Path("/sys/fs/cgroup")


def usable() -> int:
    """Processors that this process may run on, and no more than its container is given time of; at least 1."""
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(mine, quota())))


def has_bfloat16(cpuinfo: Path = _CPUINFO) -> bool:
    """Whether this CPU has instructions for bfloat16 (AVX512-BF16, AMX, Arm BF16); False where it does not tell.

    Libraries emulate bfloat16 where it has none, and are then slower by far than in float32.
    """
    try:
        lines = [line.partition(":") for line in cpuinfo.read_text().splitlines()]
    except OSError:
        return False
    return any(key.strip() in {"flags", "Features"} and _BFLOAT16 & set(value.split()) for key, _, value in lines)


def openmp(inherited: Mapping[str, str]) -> dict[str, str]:
    """Variables to add to a process's environment before it starts; what is set there already stays.

    Threads that wait for others of their team spin by default. Where another process has the core that one of them
    needs, all spin in vain: a step took 70 times as long. ``PASSIVE`` lets them sleep (OpenMP 5.2, 21.8; for GNU's
    runtime, which torch brings, as for LLVM's and Intel's). The runtime knows the processors that it may run on, but
    not a container's share of their time: its threads would be put to sleep in the midst of their work.
    """
    wanted = {"OMP_WAIT_POLICY": "PASSIVE"}
    if quota() < math.inf:
        wanted["OMP_NUM_THREADS"] = str(usable())
    return {name: value for name, value in wanted.items() if name not in inherited}


def quota(own: Path = _OWN, mount: Path = _MOUNT) -> float:
    """Processors' worth of time that the control groups (version 2) of this process leave it; infinite without limit.

    Args:
        own: says which group is this process's.
        mount: where the groups are.
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return math.inf
    group = mount / next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
    inside = [group, *(parent for parent in group.parents if parent.is_relative_to(mount))]
    return min(map(_limit, inside))


def _limit(group: Path) -> float:
    """Of one group: ``cpu.max`` holds microseconds and the period in which they may be used, or ``max``."""
    try:
        allowed, period = (group / "cpu.max").read_text().split()
    except (OSError, ValueError):
        return math.inf
    return math.inf if allowed == "max" else int(allowed) / int(period)
