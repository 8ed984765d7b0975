"""Trunks by content: one folder each, however many models stand on it."""

import contextlib
import hashlib
import json
import os
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from models_store.artifacts import publish_directory, sha256_file, temporary_directory_beside, write_atomic
from models_store.backbones import FAMILIES
from models_store.backbones.family import Architecture
from models_store.backbones.mapping import fill
from models_store.trunk_files import ARCHITECTURE, TENSORS, directory, locate

__all__ = ["backbone_sha256", "directory", "is_there", "load", "locate", "put", "trunk_of", "trunk_sha256"]


def backbone_sha256(module: nn.Module) -> str:
    """Hash over name, dtype, shape and bytes of every parameter and buffer: equal only if not a bit has moved."""
    digest = hashlib.sha256()
    named = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
    for name, tensor in sorted(named, key=lambda pair: pair[0]):
        digest.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def trunk_sha256(module: nn.Module, architecture: Architecture) -> str:
    """Name of a trunk: its tensors and its architecture (the same weights pooled otherwise are another trunk)."""
    return trunk_of(backbone_sha256(module), architecture)


def trunk_of(backbone: str, architecture: Architecture) -> str:
    """Name of the trunk whose tensors have this ``backbone_sha256``."""
    described = json.dumps(architecture.as_json(), sort_keys=True)
    return hashlib.sha256(f"{backbone}\n{described}".encode()).hexdigest()


def put(store_dir: Path, module: nn.Module, architecture: Architecture) -> str:
    """Store a trunk, if it is not there yet, and give its name; after a crash it is there whole or not at all."""
    sha256 = trunk_sha256(module, architecture)
    final = directory(store_dir, sha256)
    if is_there(store_dir, sha256):
        os.utime(final)  # a trunk that is about to be used again is not tidied away
        return sha256
    if final.is_dir():  # what a removal that was cut off has left
        with temporary_directory_beside(final) as wreck, contextlib.suppress(OSError):
            final.rename(wreck / sha256)
    with temporary_directory_beside(final) as temporary:
        # clones, because safetensors refuses tensors that share memory (tied weights do)
        tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in module.state_dict().items()}
        save_file(tensors, temporary / TENSORS)
        described = {"architecture": architecture.as_json(), "file_sha256": sha256_file(temporary / TENSORS)}
        write_atomic(temporary / ARCHITECTURE, json.dumps(described, indent=2).encode())
        publish_directory(temporary, final)
    return sha256


def is_there(store_dir: Path, sha256: str) -> bool:
    """Whether the trunk of this name is stored with all that it needs."""
    return all((directory(store_dir, sha256) / name).is_file() for name in (ARCHITECTURE, TENSORS))


def load(store_dir: Path, sha256: str) -> tuple[nn.Module, Architecture]:
    """The trunk of this name in eval mode, every tensor filled.

    Raises:
        UnavailableError: ``trunk_missing``, or ``trunk_damaged`` when its bytes are not those that were stored.
    """
    tensors, architecture = locate(store_dir, sha256)
    module = FAMILIES[architecture.family].build(architecture)
    fill(module, load_file(tensors))
    return module, architecture
