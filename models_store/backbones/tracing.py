"""What a module does, seen by running it on tensors that have a shape and no content: nothing is computed."""

import torch
from torch import nn
from torch.func import functional_call
from torch.utils.hooks import RemovableHandle

Shape = tuple[int, ...]


def output_shape(module: nn.Module, shape: Shape) -> Shape:
    """Shape of what ``module`` (in eval) gives for an input of ``shape``."""
    output: torch.Tensor = functional_call(module, _without_content(module), (torch.zeros(shape, device="meta"),))
    return tuple(output.shape)


def find_classifier(module: nn.Module, shape: Shape, classes: int) -> str:
    """Name of the last layer to run, for an input of ``shape``, of those that could be the classifier.

    That is a ``Linear``, or a ``Conv2d`` of one pixel, with as many outputs as there are classes.
    """
    ran: list[str] = []
    candidates = {name: layer for name, layer in module.named_modules() if _outputs(layer) == classes}
    hooks = [_note(layer, name, ran) for name, layer in candidates.items()]
    try:
        output_shape(module, shape)
    finally:
        for hook in hooks:
            hook.remove()
    return ran[-1]


def replace(module: nn.Module, name: str, layer: nn.Module) -> None:
    """Put ``layer`` in the place of the submodule ``name``."""
    parent, _, last = name.rpartition(".")
    setattr(module.get_submodule(parent), last, layer)


def _without_content(module: nn.Module) -> dict[str, torch.Tensor]:
    tensors = [*module.named_parameters(), *module.named_buffers()]
    return {name: tensor.detach().to("meta") for name, tensor in tensors}


def _outputs(layer: nn.Module) -> int | None:
    if isinstance(layer, nn.Linear):
        return layer.out_features
    if isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1):
        return layer.out_channels
    return None


def _note(layer: nn.Module, name: str, ran: list[str]) -> RemovableHandle:
    return layer.register_forward_hook(lambda _layer, _inputs, _output: ran.append(name))
