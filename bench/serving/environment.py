"""The peers' virtual environment: their own packages in a folder, torch and all else as this process has it."""

import os
import subprocess
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path
from typing import Final

LITSERVE: Final = "0.2.19"
BENTOML: Final = "1.4.39"
_SHARED: Final = ("torch", "torchvision", "transformers", "pillow", "fastapi", "starlette", "uvicorn", "pydantic")
"""Ours and every peer's alike: a peer that wants another version of these is not installed."""
_FRAMEWORKS: Final = (f"litserve=={LITSERVE}", f"bentoml=={BENTOML}")


def build(folder: Path) -> Path:
    """Make the environment, unless it is there as it should be, and give its Python.

    A ``.pth`` file puts this process's packages behind the peers' own, so that torch is installed once and is the same
    for all.

    Raises:
        RuntimeError: pip could not install the peers; with pip's last words.
    """
    python, stamp = folder / "bin" / "python", folder / "installed.txt"
    wanted = _wanted()
    if not (stamp.is_file() and stamp.read_text("utf-8") == wanted):
        _make(folder, python, wanted)
        stamp.write_text(wanted, "utf-8")
    return python


def variables() -> dict[str, str]:
    """A peer's environment: this process's, without what would set its threads otherwise than its author had them."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "KMP_", "MKL_"))}
    return {**inherited, "PYTHONDONTWRITEBYTECODE": "1", "HF_HUB_OFFLINE": "1", "BENTOML_DO_NOT_TRACK": "True"}


def _wanted() -> str:
    shared = [f"{name}=={version(name)}" for name in _SHARED]
    return "\n".join([sysconfig.get_path("purelib"), *shared, *_FRAMEWORKS])


def _make(folder: Path, python: Path, wanted: str) -> None:
    _do([sys.executable, "-m", "venv", "--clear", str(folder)])
    packages = sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
    (Path(packages) / "service.pth").write_text(f"{sysconfig.get_path('purelib')}\n", "utf-8")
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(wanted.splitlines()[1:]), "utf-8")
    _do([str(python), "-m", "pip", "install", "--quiet", "--constraint", str(constraints), *_FRAMEWORKS])


def _do(command: list[str]) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        errors = [line for line in ended.stderr.splitlines() if not line.startswith("WARNING")]
        raise RuntimeError(f"`{' '.join(command)}` failed: {' '.join(errors)[-1500:]}")
