"""The parts of the service, each a module of its own that is run with ``python -m``."""

import os
import site
import sys
from pathlib import Path
from typing import Final

from models_store import processors

API: Final = "app"
WORKER: Final = "worker"
MIGRATE: Final = "models_store.database.migrate"


def command(module: str) -> list[str]:
    """The command line that runs a part."""
    return [sys.executable, "-m", module]


def environment(**settings: str) -> dict[str, str]:
    """This process's environment for a part, with settings of ours on top.

    ``-m`` would look in the working directory first, where a folder named ``app`` is nothing rare: that is turned off.
    """
    inherited = {**os.environ, **processors.openmp(os.environ)}
    path = [_root(), inherited.get("PYTHONPATH", "")]
    safe = {"PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1", "PYTHONPATH": os.pathsep.join(filter(None, path))}
    return inherited | safe | settings


def _root() -> str:
    """Where the parts lie if they are run from a checkout; an installed package is found without help."""
    root = str(Path(__file__).resolve().parent.parent)
    return "" if root in {*site.getsitepackages(), site.getusersitepackages()} else root
