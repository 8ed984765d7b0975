"""What a checkpoint file of others holds: read as tensors and plain values, never run."""

import json
import os
import pickle  # nosec B403 # for its error alone
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from models_store.errors import InvalidError

Tensors = dict[str, torch.Tensor]
# Where training scripts put the weights inside of what they save; averaged weights first, as timm does.
_NESTED: Final = ("state_dict_ema", "model_ema", "state_dict", "model")
# What Lightning would import and call, had the file been given to load_from_checkpoint (GHSA-w67p-p9fv-39w7).
_CALLED_BY_LIGHTNING: Final = "_instantiator"
_ORDER: Final = "order"
# What damaged files are known to raise, besides the refusal of the unpickler.
_READ_ERRORS: Final = (
    OSError,
    RuntimeError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    MemoryError,
    SafetensorError,
    struct.error,
)


def read(path: Path) -> tuple[Tensors, bool]:
    """The named tensors of a safetensors file, or of what ``torch.save`` wrote.

    Returns:
        Tensors by name, and whether they come in the order of the module that was saved. Safetensors files are sorted
        by name, unless :func:`write` made them.

    Raises:
        InvalidError: ``unsafe_weights`` when the file holds anything but tensors and plain values (nothing of it was
            executed), ``unreadable_weights`` when it cannot be read or holds no tensors.
    """
    try:
        if path.suffix == ".safetensors":
            return _safetensors(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _unsafe("The file is damaged, or holds more than tensors and plain values") from error
    except _READ_ERRORS as error:
        raise _unreadable() from error
    return _named(content), True


def write(tensors: Tensors, path: Path) -> None:
    """Write a safetensors file that remembers the order of its tensors, durably.

    Raises:
        InvalidError: ``unreadable_weights``, a tensor is of a kind that cannot be stored.
    """
    try:
        # clones, because safetensors refuses tensors that share memory (tied weights do)
        plain = {name: tensor.detach().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}
        save_file(plain, path, metadata={_ORDER: json.dumps(list(tensors))})
    except (RuntimeError, ValueError, TypeError, LookupError, AttributeError, MemoryError) as error:
        raise _unreadable() from error
    with path.open("rb") as file:
        os.fsync(file.fileno())


def order(path: Path) -> list[str]:
    """Names of the tensors in a file that :func:`write` made, in their order."""
    with safe_open(path, framework="pt") as file:
        return _order(file) or list(file.keys())


def _safetensors(path: Path) -> tuple[Tensors, bool]:
    with safe_open(path, framework="pt") as file:
        names = _order(file)
        tensors = {name: file.get_tensor(name) for name in names or file.keys()}
    if not tensors:
        raise _unreadable()
    return tensors, names is not None


def _order(file: Any) -> list[str] | None:
    """The order that was noted, if it is one of exactly these tensors."""
    noted = (file.metadata() or {}).get(_ORDER)
    names = json.loads(noted) if noted else None
    return names if isinstance(names, list) and sorted(map(str, names)) == sorted(file.keys()) else None


def _named(content: Any) -> Tensors:
    if not isinstance(content, Mapping):
        raise _unreadable()
    parameters = content.get("hyper_parameters")
    if isinstance(parameters, Mapping) and _CALLED_BY_LIGHTNING in parameters:
        raise _unsafe(f"Its hyper_parameters name a function to call ({_CALLED_BY_LIGHTNING})")
    nested = next((content[key] for key in _NESTED if isinstance(content.get(key), Mapping)), content)
    tensors = {str(name): value for name, value in nested.items() if isinstance(value, torch.Tensor)}
    if not tensors:
        raise _unreadable()
    return tensors


def _unsafe(reason: str) -> InvalidError:
    message = f"{reason}; nothing of it was run. Save the model's state_dict() alone, best as safetensors."
    return InvalidError("unsafe_weights", message)


def _unreadable() -> InvalidError:
    return InvalidError(
        "unreadable_weights",
        "The file is no checkpoint with named tensors. Send a .safetensors, .pth or .pt file of a state_dict().",
    )
