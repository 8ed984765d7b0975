"""Names of files inside an archive. They are only looked at: none becomes a path on the disk."""

import re
from typing import Final

from worker.importing.problems import BadItemError

_IMAGE_SUFFIXES: Final = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff"}
)
_LITTER: Final = frozenset({"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "icon\r"})
_DRIVE: Final = re.compile(r"^[A-Za-z]:")


def split_path(name: str) -> tuple[str, ...]:
    """The parts of a relative path with forward slashes.

    Raises:
        BadItemError: ``unsafe_path``.
    """
    parts = tuple(part for part in name.split("/") if part not in {"", "."})
    unsafe = "\0" in name or "\\" in name or name.startswith("/") or _DRIVE.match(name) or ".." in parts
    if unsafe or not parts:
        raise BadItemError(
            "unsafe_path", "Only relative paths with forward slashes are read. Make the archive from inside its folder."
        )
    return parts


def is_litter(parts: tuple[str, ...]) -> bool:
    """Whether an operating system or an editor left this behind: hidden files and folders, thumbnails and the like."""
    return any(part.startswith(".") or part.lower() in _LITTER for part in parts)


def has_image_suffix(parts: tuple[str, ...]) -> bool:
    """Whether a file is named like an image; whether it is one, only its content tells."""
    return suffix(parts[-1]) in _IMAGE_SUFFIXES


def suffix(name: str) -> str:
    """The ending of a file's name with its dot, in small letters; empty where there is none."""
    _stem, dot, ending = name.rpartition(".")
    return dot + ending.lower() if dot else ""
