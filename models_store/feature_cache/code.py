"""Features depend on code too: another release, or an edited plugin, may make other features of the same weights."""

import hashlib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import torch

_KNOWN: Final = ("builtins", "abc", "typing", "collections", "torch")
"""Packages that are named by the version of torch or of Python."""


def code_sha256(parts: Iterable[object], described: str = "") -> str:
    """Hash over a description, the classes of these objects, the files of them and of their bases, and torch's version.

    What those files import from elsewhere is not followed. A network's ``repr`` describes how torch's own modules in it
    are set up, whose classes and files are left out.
    """
    classes = {one for part in parts for one in type(part).__mro__ if one.__module__.partition(".")[0] not in _KNOWN}
    files = {getattr(sys.modules.get(one.__module__), "__file__", None) for one in classes}
    digest = hashlib.sha256(f"{torch.__version__}\n{sys.version}\n{described}\n".encode())
    digest.update("\n".join(sorted(f"{one.__module__}.{one.__qualname__}" for one in classes)).encode())
    for content in sorted(hashlib.sha256(Path(file).read_bytes()).digest() for file in files if file):
        digest.update(content)
    return digest.hexdigest()
