"""What decides the figures beside the code: the machine and the versions."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Final

import psutil

LIBRARIES: Final = ("torch", "torchvision", "transformers", "openvino", "fastapi", "uvicorn", "pytorch-lightning")
_FLAGS: Final = {"avx512_bf16": "AVX512-BF16", "amx_bf16": "AMX-BF16"}
_CPUINFO: Final = Path("/proc/cpuinfo")


def cores() -> int:
    """Cores that this process and what it starts may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def told() -> list[str]:
    """Machine and versions, a sentence each."""
    info = _CPUINFO.read_text(encoding="utf-8") if _CPUINFO.is_file() else ""
    memory = psutil.virtual_memory().total / 2**30
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return [
        f"Machine: {cpu(info)}, {cores()} cores, {instructions(info)}, {memory:.0f} GiB of memory, no GPU used.",
        f"Versions: Python {platform.python_version()}, {libraries}.",
    ]


def cpu(info: str) -> str:
    """The model's name in ``/proc/cpuinfo``."""
    return _field(info, "model name") or platform.machine()


def instructions(info: str) -> str:
    """Whether the CPU computes in bfloat16: by that, half of the figures stand or fall."""
    flags = set(_field(info, "flags").split())
    return ", ".join(f"{name} {'yes' if flag in flags else 'no'}" for flag, name in _FLAGS.items())


def _field(info: str, name: str) -> str:
    lines = (line.partition(":") for line in info.splitlines())
    return next((value.strip() for key, _, value in lines if key.strip() == name), "")
