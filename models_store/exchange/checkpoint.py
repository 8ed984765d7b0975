"""A model as a checkpoint of PyTorch Lightning: tensors and plain values, readable with ``weights_only=True``."""

import math
from pathlib import Path
from typing import IO, Any, Final

import numpy
import torch

from models_store.exchange.config import config_json
from models_store.exchange.source import Source
from models_store.exchange.tensors import StoredTensor

_LIGHTNING: Final = "2.6.6"
"""The version that the checkpoint says it is of, where the model's card tells none."""
_DTYPES: Final = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
    "C64": torch.complex64,
}


def write(source: Source, file: IO[bytes]) -> None:
    """Write the checkpoint. Tensors are read from disk as they are written; none is held.

    ``state_dict`` has the names of the zip's ``model.safetensors``; ``hyper_parameters`` are ``config`` (the zip's
    ``config.json``), ``width`` (features an item) and ``classes``.

    Raises:
        OSError: ``file`` cannot be written.
    """
    versions = source.card.get("versions") or {}
    hyper_parameters: dict[str, Any] = {
        "config": config_json(source),
        "width": source.architecture.width,
        "classes": len(source.labels),
    }
    content = {
        "pytorch-lightning_version": versions.get("pytorch-lightning", _LIGHTNING),
        "epoch": source.card.get("best_epoch", 0),
        "global_step": 0,
        "state_dict": _state_dict(source),
        "hyper_parameters": hyper_parameters,
        "preprocessing": dict(source.card["preprocessing"]),
    }
    try:
        torch.save(content, file)
    except RuntimeError as error:  # what torch makes of any failure to write
        raise error.__context__ if isinstance(error.__context__, OSError) else error  # noqa: B904 - it is the reason


def _state_dict(source: Source) -> dict[str, torch.Tensor]:
    maps: dict[Path, numpy.ndarray[Any, Any]] = {}
    return {tensor.name: _mapped(tensor, maps) for tensor in source.tensors}


def _mapped(tensor: StoredTensor, maps: dict[Path, numpy.ndarray[Any, Any]]) -> torch.Tensor:
    """The tensor over the bytes of its file; with a storage of its own, as ``torch.save`` writes whole storages."""
    dtype = _DTYPES[tensor.dtype]
    if not math.prod(tensor.shape):
        return torch.empty(tensor.shape, dtype=dtype)
    if tensor.path is None:
        content = numpy.frombuffer(bytearray(tensor.content), numpy.uint8)
    else:
        if tensor.path not in maps:
            maps[tensor.path] = numpy.memmap(tensor.path, numpy.uint8, "c")  # copy on write: the file is never changed
        content = maps[tensor.path][tensor.offset : tensor.offset + tensor.size]
    return torch.from_numpy(numpy.asarray(content)).view(dtype).reshape(tensor.shape)
