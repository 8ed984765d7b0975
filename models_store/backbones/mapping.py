"""Names of tensors in a checkpoint that came from elsewhere, matched to the names that the library uses."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from models_store.backbones.checkpoints import Checkpoint
from models_store.errors import InvalidError

Tensors = Mapping[str, torch.Tensor]
_COUNTER = "num_batches_tracked"
_WRAPPERS = ("module.", "model.", "backbone.", "_orig_mod.")


@dataclass(frozen=True)
class Mapped:
    """A checkpoint under the library's names, complete, with the library's dtypes; ``how`` tells a person the way."""

    tensors: dict[str, torch.Tensor]
    how: str


def map_tensors(source: Checkpoint, target: Tensors) -> Mapped:
    """Every tensor of ``target`` found in ``source``: by name, else by order, shape and last part of the name together.

    Batch norm's ``num_batches_tracked``, which old checkpoints lack, may miss on either side. Without an order of its
    own, a checkpoint is matched by name alone.

    Raises:
        InvalidError: ``weights_mismatch``, with the first tensor that does not fit.
    """
    unwrapped = unwrap(source.tensors, target)
    if _same_names(unwrapped, target) or not source.ordered:
        _check_names(unwrapped, target, _counted)
        return _adopt(unwrapped, target, {name: name for name in _counted(target)}, "by name")
    return _adopt(unwrapped, target, _by_order(unwrapped, target), "by order, shape and last part of the name")


def fit(source: Checkpoint, trunk: nn.Module, whole: Callable[[], nn.Module]) -> Mapped:
    """The tensors of ``trunk`` from a checkpoint of it, or of the library's ``whole`` model with its classifier.

    Raises:
        InvalidError: ``weights_mismatch``.
    """
    target = trunk.state_dict()
    picked = pick(source, target)
    if picked is not None:
        return picked
    mapped = map_tensors(source, whole().state_dict())
    return Mapped({name: mapped.tensors[name] for name in target}, mapped.how)


def fit_whole(source: Checkpoint, trunk: nn.Module, whole: Callable[[], nn.Module]) -> Mapped:
    """As ``fit``, but with the classifier where the checkpoint has a fitting one.

    Raises:
        InvalidError: ``weights_mismatch``.
    """
    try:
        return map_tensors(source, whole().state_dict())
    except InvalidError:
        picked = pick(source, trunk.state_dict())
        if picked is None:
            raise
        return picked


def pick(source: Checkpoint, target: Tensors) -> Mapped | None:
    """As ``map_tensors`` by name alone, leaving aside what ``target`` has not; ``None`` where one is missing."""
    unwrapped = unwrap(source.tensors, target)
    names = _counted(target)
    if any(name not in unwrapped or unwrapped[name].shape != target[name].shape for name in names):
        return None
    return _adopt(unwrapped, target, {name: name for name in names}, "by name")


def fill(module: nn.Module, tensors: Tensors) -> None:
    """Copy ``tensors`` into all parameters and persistent buffers of ``module``.

    Unlike ``load_state_dict`` this runs no hooks of old versions: the names and shapes are known to be today's.

    Raises:
        InvalidError: ``weights_mismatch``, a tensor is missing, too many, or of another shape.
    """
    target = module.state_dict()
    _check_names(tensors, target, list)
    with torch.no_grad():
        for name, tensor in target.items():
            tensor.copy_(tensors[name])


def unwrap(source: Tensors, target: Tensors) -> Tensors:
    """``source`` without the prefix that a wrapper (data parallel, a training module) put before every name."""
    for wrapper in _WRAPPERS:
        wrapped = source and all(name.startswith(wrapper) for name in source)
        if wrapped and not any(name.startswith(wrapper) for name in target):
            return unwrap({name.removeprefix(wrapper): tensor for name, tensor in source.items()}, target)
    return source


def _counted(tensors: Tensors) -> list[str]:
    return [name for name in tensors if not name.endswith(_COUNTER)]


def _same_names(source: Tensors, target: Tensors) -> bool:
    return set(_counted(source)) == set(_counted(target))


def _check_names(source: Tensors, target: Tensors, names: Callable[[Tensors], list[str]]) -> None:
    for name in names(target):
        if name not in source:
            raise _mismatch(f"{name} is missing")
        if source[name].shape != target[name].shape:
            raise _mismatch(f"{name} has the shape {_shape(source[name])}, expected is {_shape(target[name])}")
    for name in names(source):
        if name not in target:
            raise _mismatch(f"{name} is too many")


def _by_order(source: Tensors, target: Tensors) -> dict[str, str]:
    """Name in the source for each name in the target."""
    theirs, ours = _counted(source), _counted(target)
    for index, (their, our) in enumerate(zip(theirs, ours, strict=False)):
        if source[their].shape != target[our].shape or _last(their) != _last(our):
            raise _mismatch(
                f"tensor {index + 1} is {their} {_shape(source[their])}, expected is {our} {_shape(target[our])}"
            )
    if len(theirs) != len(ours):
        raise _mismatch(f"it has {len(theirs)} tensors, {_surplus(theirs, ours)}; expected are {len(ours)}")
    return dict(zip(ours, theirs, strict=True))


def _surplus(theirs: Sequence[str], ours: Sequence[str]) -> str:
    if len(theirs) > len(ours):
        return f"{theirs[len(ours)]} is too many"
    return f"{ours[len(theirs)]} is missing"


def _adopt(source: Tensors, target: Tensors, names: Mapping[str, str], how: str) -> Mapped:
    tensors = {}
    for ours, wanted in target.items():
        found = source.get(names.get(ours, ours))
        # a counter that the checkpoint lacks starts at zero; it plays no part in evaluation
        tensors[ours] = torch.zeros_like(wanted) if found is None else found.to(wanted.dtype).contiguous()
    return Mapped(tensors, how)


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _shape(tensor: torch.Tensor) -> list[int]:
    return list(tensor.shape)


def _mismatch(reason: str) -> InvalidError:
    return InvalidError(
        "weights_mismatch",
        f"The checkpoint does not fit this backbone: {reason}. Use the backbone that it was made for.",
    )
