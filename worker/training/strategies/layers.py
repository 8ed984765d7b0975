"""The layers of any backbone from bottom to top, found in how it is put together, and optimizer groups of them.

Layer-wise decay and gradual unfreezing need an order of layers for torchvision, timm, transformers and an operator's
own modules alike. No list of names gives that, but all of them define their parts in the order in which data passes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from torch import nn

from models_store.spec import Training

Group = dict[str, Any]
_LISTS: Final = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


@dataclass(frozen=True)
class Layer:
    """Modules that freeze and thaw together. The lowest has every parameter that is in no other."""

    modules: list[nn.Module]
    parameters: list[nn.Parameter]


def layers(backbone: nn.Module) -> list[Layer]:
    """The backbone's layers, the one next to the input first; together they hold each parameter once.

    Lists of blocks, however deep (``encoder.layer``, ``layer1``, ``features.denseblock1``), are taken apart; a block is
    not. What has no matrix of its own (a normalisation between blocks) belongs to the layer below it. All embeddings
    and the parameters outside any part (class token, positions) belong to the lowest layer, as in BEiT.
    """
    first, *rest = dict.fromkeys(_parts(_unwrapped(backbone))) or [backbone]
    found = [[first, *(part for part in rest if isinstance(part, nn.Embedding))]]
    for part in rest:
        if isinstance(part, nn.Embedding):
            continue
        if _has_matrix(part):
            found.append([part])
        else:
            found[-1].append(part)
    return _with_parameters(backbone, found)


def layer_groups(backbone: nn.Module, training: Training) -> list[Group]:
    """Optimizer groups ``backbone.0`` (lowest) … ``backbone.N``; ``layer_decay`` between each layer and the next.

    The top layer learns at ``backbone_lr``, each below it at ``layer_decay`` times the rate of the one above:
    layer-wise learning-rate decay as in ELECTRA (Clark et al. 2020) and BEiT (Bao et al. 2021), where 0.65 … 0.9 is
    usual; ULMFiT (Howard & Ruder 2018) calls it discriminative fine-tuning and takes 1 / 2.6.
    """
    found = layers(backbone)
    groups: list[Group] = []
    for number, layer in enumerate(found):
        rate = training.backbone_lr * training.layer_decay ** (len(found) - 1 - number)
        groups += named_groups(f"backbone.{number}", layer.parameters, rate)
    return groups


def named_groups(name: str, parameters: Sequence[nn.Parameter], rate: float) -> list[Group]:
    """Optimizer groups of one name and rate: matrices with weight decay, biases and normalisation without.

    So trained BERT (Devlin et al. 2018, ``AdamWeightDecayOptimizer``), and so does timm (``weight_decay_exclude_1d``):
    decay pulls a normalisation's scale towards zero, which regularises nothing.
    """
    matrices = [parameter for parameter in parameters if parameter.ndim > 1]
    vectors = [parameter for parameter in parameters if parameter.ndim <= 1]
    groups: list[Group] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    return [{"name": name, "lr": rate, **group} for group in groups if group["params"]]


def _unwrapped(backbone: nn.Module) -> nn.Module:
    """Without modules around it that hold nothing else, as an operator's own may have."""
    children = _children(backbone)
    if len(children) == 1 and _children(children[0]):
        return _unwrapped(children[0])
    return backbone


def _parts(stack: nn.Module) -> Iterator[nn.Module]:
    for child in _children(stack):
        if _is_stack(child):
            yield from _parts(child)
        else:
            yield child


def _is_stack(module: nn.Module) -> bool:
    """Whether data passes through the children one after another, each being a layer, or holding layers."""
    children = _children(module)
    if isinstance(module, _LISTS):
        return sum(_has_matrix(child) for child in children) > 1 or any(_is_stack(child) for child in children)
    lists = [child for child in children if isinstance(child, _LISTS)]
    return any(_repeats(blocks) or any(_is_stack(block) for block in _children(blocks)) for blocks in lists)


def _repeats(stack: nn.Module) -> bool:
    """Whether two blocks look alike: encoders hold such lists; the lists inside a block are of unlike things."""
    looks = [
        (type(child), *(parameter.shape for parameter in child.parameters()))
        for child in _children(stack)
        if not isinstance(child, _LISTS) and _children(child)
    ]
    return len(set(looks)) < len(looks)


def _children(module: nn.Module) -> list[nn.Module]:
    """Those that have anything to train."""
    return [child for child in module.children() if next(child.parameters(), None) is not None]


def _has_matrix(module: nn.Module) -> bool:
    return any(parameter.ndim > 1 for parameter in module.parameters())


def _with_parameters(backbone: nn.Module, found: list[list[nn.Module]]) -> list[Layer]:
    taken: set[int] = set()
    upper = [Layer(modules, _unseen(modules, taken)) for modules in found[1:]]
    return [Layer(found[0], _unseen([backbone], taken)), *upper]


def _unseen(modules: list[nn.Module], taken: set[int]) -> list[nn.Parameter]:
    """Parameters of the modules that no layer has yet; tied ones would otherwise come twice."""
    parameters = {id(parameter): parameter for module in modules for parameter in module.parameters()}
    unseen = [parameter for key, parameter in parameters.items() if key not in taken]
    taken.update(parameters)
    return unseen
