"""Rows of numbers in files of an attempt: mapped into memory, not held in it."""

import json
import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models_store.artifacts import sha256_file, write_atomic

_SEAL = ".sealed"


def new_rows(path: Path, rows: int, width: int) -> Tensor:
    """A file of float32 [rows, width], all zero.

    Raises:
        OSError: the disk has no room; a sparse file would end the process when it is written to.
    """
    if not rows:
        return torch.empty(0, width)
    path.unlink(missing_ok=True)  # whoever still has an old one mapped keeps it
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, rows * width * np.dtype(np.float32).itemsize)
    return torch.from_numpy(np.memmap(path, dtype=np.float32, mode="r+", shape=(rows, width)))


def seal(path: Path, what: str) -> None:
    """Declare that the file holds all of ``what`` and is not written to any more.

    The hash goes over what was written, so there is nothing to wait for: a file that a crash of the machine has cut
    off does not match.
    """
    sealed = {"what": what, "sha256": sha256_file(path)}
    write_atomic(path.with_name(path.name + _SEAL), json.dumps(sealed).encode())


def sealed_rows(path: Path, what: str, rows: int, width: int) -> Tensor | None:
    """Float32 [rows, width] of a file that was sealed as ``what`` and is what it was then, else None."""
    try:
        seal = json.loads(path.with_name(path.name + _SEAL).read_bytes())
        if not rows or seal["what"] != what or seal["sha256"] != sha256_file(path):
            return None
        # "c": changes, which nobody makes, would stay in memory; torch takes no read-only memory
        return torch.from_numpy(np.memmap(path, dtype=np.float32, mode="c", shape=(rows, width)))
    except (OSError, ValueError, KeyError):
        return None
