"""How much of a machine the reading of a file of some bytes may take. Generous: only hostile files come near."""

from typing import Final

from models_store.errors import InvalidError

_MEBIBYTE: Final = 1 << 20
_SLOWEST: Final = 20 * _MEBIBYTE
"""Bytes a second."""


def memory(size: int) -> int:
    """Bytes: the file as read, its copies, and room for the machinery."""
    return 4 * size + 1024 * _MEBIBYTE


def file_size(size: int) -> int:
    """Bytes of what may be written: tied weights are stored as often as they are named."""
    return 2 * size + 64 * _MEBIBYTE


def cpu_seconds(size: int) -> int:
    """The start of the process included."""
    return 60 + size // _SLOWEST


def wall_seconds(size: int) -> int:
    """On a machine that is busy with other things too."""
    return 10 * cpu_seconds(size)


def excessive() -> InvalidError:
    """The error for a file that took more."""
    return InvalidError(
        "unreadable_weights",
        "Reading the file took more memory or time than its size explains. Save the model's state_dict() anew.",
    )
