"""What a module does, seen by running it on tensors that have a shape and no content: nothing is computed."""

from collections.abc import Callable
from copy import deepcopy

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

Shape = tuple[int, ...]


def output_shape(module: nn.Module, shape: Shape) -> Shape:
    """Shape of what ``module`` (in eval) gives for an input of ``shape``."""
    return _output_shape(_hollow(module), shape)


def settle(module: nn.Module, shape: Shape) -> None:
    """Where ``module`` (in eval) keeps buffers that depend on its first input's size, let it make them now.

    After this no forward pass changes a buffer, so that a frozen module stays bit-identical.
    """
    copy = _hollow(module)
    before = dict(copy.named_buffers())
    _output_shape(copy, shape)
    if any(before.get(name) is not buffer for name, buffer in copy.named_buffers()):
        with torch.no_grad():
            module(torch.zeros(shape))


def find_classifier(module: nn.Module, shape: Shape, classes: int) -> str:
    """Name of the last layer to run, for an input of ``shape``, of those that could be the classifier.

    That is a ``Linear``, or a ``Conv2d`` of one pixel, with as many outputs as there are classes.
    """
    copy = _hollow(module)
    ran = _run_with_hooks(copy, classes, lambda: _output_shape(copy, shape))
    return ran[-1][0]


def input_of_classifier(module: nn.Module, classes: int, run: Callable[[], object]) -> torch.Tensor | None:
    """What the classifier, as ``find_classifier`` knows it, is given while ``run`` calls ``module``."""
    with torch.no_grad():
        ran = _run_with_hooks(module, classes, run)
    return ran[-1][1] if ran else None


def _run_with_hooks(module: nn.Module, classes: int, run: Callable[[], object]) -> list[tuple[str, torch.Tensor]]:
    """Name and input of the layers that could be the classifier, in the order in which they ran."""
    ran: list[tuple[str, torch.Tensor]] = []
    candidates = {name: layer for name, layer in module.named_modules() if _outputs(layer) == classes}
    hooks = [_note(layer, name, ran) for name, layer in candidates.items()]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return ran


def replace(module: nn.Module, name: str, layer: nn.Module) -> None:
    """Put ``layer`` in the place of the submodule ``name``."""
    parent, _, last = name.rpartition(".")
    setattr(module.get_submodule(parent), last, layer)


def _hollow(module: nn.Module) -> nn.Module:
    """A copy whose tensors have no content; what was shared is shared. ``module`` never sees a tensor of no content.

    (``functional_call`` would run the module itself: then those stay behind in modules that are shared or keep caches.)
    """
    parameters = {
        id(tensor): nn.Parameter(tensor.detach().to("meta"), requires_grad=False) for tensor in module.parameters()
    }
    buffers = {id(tensor): tensor.detach().to("meta") for tensor in module.buffers()}
    return deepcopy(module, {**parameters, **buffers})


def _output_shape(hollow: nn.Module, shape: Shape) -> Shape:
    with torch.no_grad():
        output: torch.Tensor = hollow(torch.zeros(shape, device="meta"))
    return tuple(output.shape)


def _outputs(layer: nn.Module) -> int | None:
    if isinstance(layer, nn.Linear):
        return layer.out_features
    if isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1):
        return layer.out_channels
    return None


def _note(layer: nn.Module, name: str, ran: list[tuple[str, torch.Tensor]]) -> RemovableHandle:
    return layer.register_forward_hook(lambda _layer, inputs, _output: ran.append((name, inputs[0])))
