"""Checkpoints that users uploaded: the weights are theirs, the architecture that of a known backbone or plugin.

A plain Lightning module is trained, its ``.ckpt`` is uploaded, the wanted part of it is taken out and gets a new head.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from models_store import checkpoints
from models_store.backbones import plugin
from models_store.backbones.checkpoints import Checkpoint, read_checkpoint
from models_store.backbones.family import (
    Backbone,
    Family,
    LocalWeights,
)
from models_store.backbones.fitting import WHOLE, Fit, closest, fit_part, fits, joined, outline, part
from models_store.backbones.mapping import fill
from models_store.backbones.owned import Owned
from models_store.checkpoints import Part
from models_store.errors import InvalidError


@dataclass(frozen=True)
class _Choice:
    """A part of the checkpoint, and the part of the architecture that it fills (``""``: all of it)."""

    fit: Fit
    submodule: str


class UploadedCheckpoint(Owned):
    """``checkpoint/ID``: what :mod:`models_store.checkpoints` keeps.

    Option ``submodule``: the part of the checkpoint by its dotted name, ``""`` for all of it; else the one that fits.
    Random weights are those of its architecture.
    """

    kind = "checkpoint"
    id_pattern = re.compile(r"ckpt_[0-9a-z]{26}")
    instead_of_mirroring = "Use POST /checkpoints instead."

    def load(self, name: str, weights: str | None, mirror: LocalWeights, options: Mapping[str, Any]) -> Backbone:
        """See ``Family.load``.

        Raises:
            NotFoundError: ``checkpoint_not_found``, it was deleted.
            InvalidError: ``checkpoint_mismatch``, ``unknown_submodule`` or ``ambiguous_submodule``.
        """
        self.check(name, weights)
        file, backbone_name = checkpoints.opened(mirror.store_dir, name)
        architecture = _Named(self._families, backbone_name, mirror, options)
        choice = _chosen(read_checkpoint(file), architecture, options.get("submodule"))
        backbone = architecture.load(choice.submodule)
        if weights is not None:
            fill(backbone.module, choice.fit.tensors)
        return replace(backbone, weights=weights and name)


class _Named:
    """A known backbone, without weights."""

    def __init__(
        self, families: Mapping[str, Family], backbone: str, mirror: LocalWeights, options: Mapping[str, Any]
    ) -> None:
        family, _, self.name = backbone.partition("/")
        self.backbone = backbone
        self._family, self._mirror = families[family], mirror
        self._options = {key: value for key, value in options.items() if key != "submodule"}
        self.is_plugin = family == "plugin"

    def module(self) -> nn.Module:
        """All of it. A plugin as a whole need not give features: it is made, and not run."""
        return plugin.make(self.name) if self.is_plugin else self.load(WHOLE).module

    def load(self, submodule: str) -> Backbone:
        """The extractor."""
        options = {**self._options, "submodule": submodule} if self.is_plugin else self._options
        return self._family.load(self.name, None, self._mirror, options)


def examine(file: Path, backbone: str, families: Mapping[str, Family], mirror: LocalWeights) -> list[Part]:
    """The parts of a checkpoint, and whether the named architecture, or a part of it, fits them.

    Raises:
        InvalidError: ``checkpoint_mismatch``, it fits none; what loading that architecture raises.
        UnavailableError: ``weights_unavailable``, the configuration of a Hugging Face model is not here.
    """
    source = read_checkpoint(file)
    wholes, inner = _choices(source, _Named(families, backbone, mirror, {}))
    fitting = {choice.fit.prefix: "submodule" for choice in inner} | {choice.fit.prefix: "all" for choice in wholes}
    names = dict.fromkeys([*outline(source.tensors), *fitting])
    return [_part(source, name, fitting.get(name)) for name in names]


def _part(source: Checkpoint, name: str, fitting: str | None) -> Part:
    tensors = part(source, name).tensors.values()
    return Part(name, len(tensors), sum(tensor.numel() for tensor in tensors), fitting)


def _choices(source: Checkpoint, architecture: _Named) -> tuple[list[_Choice], list[_Choice]]:
    """Parts that all of the architecture fits, and, for a plugin, those that one of its children fits."""
    module = architecture.module()
    wholes = [_Choice(fit, WHOLE) for fit in fits(source, module.state_dict())]
    inner = []
    if architecture.is_plugin:
        roots = [choice.fit.prefix for choice in wholes] or [WHOLE]
        children = [(joined(root, name), name, child) for root in roots for name, child in module.named_children()]
        found = [(fit_part(source, prefix, child.state_dict()), name) for prefix, name, child in children]
        inner = [_Choice(fit, name) for fit, name in found if fit]
    if not wholes and not inner:
        raise _mismatch(source, architecture.backbone, closest(source, module.state_dict()))
    return wholes, inner


def _chosen(source: Checkpoint, architecture: _Named, wanted: str | None) -> _Choice:
    if wanted is not None:
        return _named_choice(source, architecture, wanted)
    wholes, inner = _choices(source, architecture)
    able = wholes or inner
    if len(able) > 1:
        raise checkpoints.ambiguous_submodule([choice.fit.prefix for choice in able])
    return able[0]


def _named_choice(source: Checkpoint, architecture: _Named, wanted: str) -> _Choice:
    """For a plugin, ``net.encoder`` may fill its part ``net.encoder``, else its ``encoder``, else all of it."""
    chosen = part(source, wanted)
    if not chosen.tensors:
        raise checkpoints.unknown_submodule(wanted, outline(source.tensors))
    module = architecture.module()
    steps = wanted.split(".") if wanted and architecture.is_plugin else []
    for submodule in [*(".".join(steps[start:]) for start in range(len(steps))), WHOLE]:
        target = _submodule(module, submodule)
        fit = target and fit_part(source, wanted, target.state_dict())
        if fit:
            return _Choice(fit, submodule)
    raise _mismatch(source, architecture.backbone, closest(chosen, module.state_dict()))


def _submodule(module: nn.Module, name: str) -> nn.Module | None:
    try:
        return module.get_submodule(name)
    except AttributeError:
        return None


def _mismatch(source: Checkpoint, backbone: str, reason: str) -> InvalidError:
    parts = ", ".join(outline(source.tensors)) or "none"
    message = (
        f"No part of the checkpoint fits {backbone}: {reason}. Its parts are {parts}. "
        "Name the architecture that it was made from, and a part that holds all of that."
    )
    return InvalidError("checkpoint_mismatch", message, param="architecture")
