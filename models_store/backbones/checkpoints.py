"""Checkpoint files of others: read as tensors and plain values, never run."""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from models_store.errors import InvalidError

# Where training scripts put the weights inside of what they save; averaged weights first, as timm does.
_NESTED = ("state_dict_ema", "model_ema", "state_dict", "model")
# What damaged files are known to raise, besides the refusal of the unpickler.
_READ_ERRORS = (
    OSError,
    RuntimeError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    MemoryError,
    SafetensorError,
)


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by name. ``ordered``: they come in the order of the module that was saved (safetensors sorts by name)."""

    tensors: dict[str, torch.Tensor]
    ordered: bool


def read_checkpoint(path: Path) -> Checkpoint:
    """What a safetensors file holds, or what ``torch.save`` wrote.

    Raises:
        InvalidError: ``unsafe_weights`` when the file holds anything but tensors and plain values (nothing of it was
            executed), ``unreadable_weights`` when it cannot be read or holds no tensors.
    """
    try:
        content = load_file(path) if path.suffix == ".safetensors" else _unpickled(path)
    except pickle.UnpicklingError as error:
        raise InvalidError(
            "unsafe_weights",
            "The file is damaged, or holds more than tensors and plain values; nothing of it was run. "
            "Save the model's state_dict() alone, best as safetensors.",
        ) from error
    except _READ_ERRORS as error:
        raise _unreadable() from error
    return Checkpoint(_tensors(content), ordered=path.suffix != ".safetensors")


def _unpickled(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


def _tensors(content: Any) -> dict[str, torch.Tensor]:
    if isinstance(content, Mapping):
        nested = next((content[key] for key in _NESTED if isinstance(content.get(key), Mapping)), content)
        tensors = {str(name): value for name, value in nested.items() if isinstance(value, torch.Tensor)}
        if tensors:
            return tensors
    raise _unreadable()


def _unreadable() -> InvalidError:
    return InvalidError(
        "unreadable_weights",
        "The file is no checkpoint with named tensors. Send a .safetensors, .pth or .pt file of a state_dict().",
    )
