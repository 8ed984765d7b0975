"""Which part of a checkpoint holds a given module: found by names and shapes, below any prefix."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch

from models_store.backbones.checkpoints import Checkpoint
from models_store.backbones.mapping import map_tensors, pick
from models_store.errors import InvalidError

Tensors = Mapping[str, torch.Tensor]
WHOLE = ""
"""The name of the part that is everything."""


@dataclass(frozen=True)
class Fit:
    """The part ``prefix`` of a checkpoint holds the module: its ``tensors`` under the module's own names."""

    prefix: str
    tensors: dict[str, torch.Tensor]
    how: str
    used: frozenset[str]
    """Names in the checkpoint."""


def prefixes(names: Iterable[str]) -> list[str]:
    """Every part by its dotted name, first come first; ``WHOLE`` before all."""
    found = {WHOLE: None}
    for name in names:
        steps = name.split(".")[:-1]
        found |= {".".join(steps[:length]): None for length in range(1, len(steps) + 1)}
    return list(found)


def outline(names: Iterable[str]) -> list[str]:
    """The parts that a person would name: the topmost ones, and below one that stands alone, those inside it."""
    names = list(names)
    found: list[str] = []
    above = WHOLE
    while True:
        children = [name for name in prefixes(_below(above, names)) if name and "." not in name]
        found += [joined(above, child) for child in children]
        if len(children) != 1:
            return found
        above = found[-1]


def part(source: Checkpoint, prefix: str) -> Checkpoint:
    """The tensors below ``prefix``, named from there."""
    start = f"{prefix}." if prefix else ""
    tensors = {name.removeprefix(start): tensor for name, tensor in source.tensors.items() if name.startswith(start)}
    return Checkpoint(tensors, source.ordered)


def fits(source: Checkpoint, target: Tensors) -> list[Fit]:
    """Every part that holds ``target``: by names; where none does, by order and shapes, with or without a last layer.

    The same tensors seen from two prefixes count once, by the longer one.
    """
    parts = {prefix: part(source, prefix) for prefix in prefixes(source.tensors)}
    named = [fit for prefix, one in parts.items() if (fit := _by_name(prefix, one, target))]
    found = named or [fit for prefix, one in parts.items() if (fit := _by_order(prefix, one, target))]
    return list({fit.used: fit for fit in sorted(found, key=lambda fit: len(fit.prefix))}.values())


def fit_part(source: Checkpoint, prefix: str, target: Tensors) -> Fit | None:
    """As :func:`fits`, for one part."""
    one = part(source, prefix)
    return _by_name(prefix, one, target) or _by_order(prefix, one, target)


def closest(source: Checkpoint, target: Tensors) -> str:
    """A clause on the part that comes closest to ``target``, and the first tensor of it that does not fit."""
    parts = {prefix: part(source, prefix).tensors for prefix in prefixes(source.tensors)}
    best = max(parts, key=lambda prefix: _matching(parts[prefix], target))
    reason = next(_differences(parts[best], target), "its tensors come in another order")
    where = best or "the whole"
    return f"closest is {where} with {_matching(parts[best], target)} of {len(target)} tensors, but {reason}"


def joined(prefix: str, name: str) -> str:
    """The dotted name of ``name`` below ``prefix``."""
    return ".".join(step for step in (prefix, name) if step)


def _below(prefix: str, names: list[str]) -> list[str]:
    start = f"{prefix}." if prefix else ""
    return [name.removeprefix(start) for name in names if name.startswith(start)]


def _by_name(prefix: str, source: Checkpoint, target: Tensors) -> Fit | None:
    counted = _counted(target)
    if not counted or any(name not in source.tensors for name in counted):
        return None  # here, because ``pick`` would look below further prefixes, which have their own turn
    picked = pick(source, target)
    if picked is None:
        return None
    return Fit(prefix, picked.tensors, picked.how, frozenset(joined(prefix, name) for name in counted))


def _by_order(prefix: str, source: Checkpoint, target: Tensors) -> Fit | None:
    if not source.ordered or not _counted(target):
        return None
    for one in (source, _without_last_layer(source)):
        names = _counted(one.tensors)
        if len(names) == len(_counted(target)):
            try:
                mapped = map_tensors(one, target)
            except InvalidError:
                continue
            return Fit(prefix, mapped.tensors, mapped.how, frozenset(joined(prefix, name) for name in names))
    return None


def _without_last_layer(source: Checkpoint) -> Checkpoint:
    """Classifiers come last."""
    last = next(reversed(source.tensors), "").rpartition(".")[0]
    kept = {name: tensor for name, tensor in source.tensors.items() if name.rpartition(".")[0] != last}
    return Checkpoint(kept, source.ordered)


def _counted(tensors: Tensors) -> list[str]:
    """Without batch norm's counters, which old checkpoints lack and which play no part in evaluation."""
    return [name for name in tensors if not name.endswith("num_batches_tracked")]


def _matching(source: Tensors, target: Tensors) -> int:
    return sum(name in source and source[name].shape == tensor.shape for name, tensor in target.items())


def _differences(source: Tensors, target: Tensors) -> Iterator[str]:
    for name, tensor in target.items():
        if name not in source:
            yield f"{name} is missing"
        elif source[name].shape != tensor.shape:
            yield f"{name} has the shape {list(source[name].shape)}, expected is {list(tensor.shape)}"
