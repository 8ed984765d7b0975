"""Checkpoints under other names are matched by order, shape and last part of the name together, or refused."""

from collections import OrderedDict

import pytest
import torch
from torch import nn

from models_store.backbones.checkpoints import Checkpoint
from models_store.backbones.mapping import fill, fit, fit_whole, map_tensors
from models_store.errors import InvalidError


class Small(nn.Module):
    """A convolution, a batch norm and a classifier."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.bn = nn.BatchNorm2d(4)
        self.classifier = nn.Linear(4, classes)


def trunk() -> nn.Module:
    return nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 4, 1), bn=nn.BatchNorm2d(4)))


def renamed(module: nn.Module, **names: str) -> dict[str, torch.Tensor]:
    """The state of ``module`` with other first parts of the names."""
    parts = ((name.partition("."), tensor) for name, tensor in module.state_dict().items())
    return {f"{names.get(first, first)}.{rest}": tensor for (first, _, rest), tensor in parts}


def without_counters(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in tensors.items() if not name.endswith("num_batches_tracked")}


def mapped(tensors: dict[str, torch.Tensor], *, ordered: bool = True) -> dict[str, torch.Tensor]:
    return map_tensors(Checkpoint(tensors, ordered), Small().state_dict()).tensors


def refusal(tensors: dict[str, torch.Tensor], *, ordered: bool = True) -> str:
    with pytest.raises(InvalidError) as caught:
        mapped(tensors, ordered=ordered)
    assert caught.value.code == "weights_mismatch"
    return caught.value.message


def same(tensors: dict[str, torch.Tensor], module: nn.Module) -> bool:
    state = module.state_dict()
    return tensors.keys() == state.keys() and all(torch.equal(tensors[name], state[name]) for name in state)


def test_equal_names_are_taken_in_any_order() -> None:
    module = Small()
    assert same(mapped(dict(reversed(module.state_dict().items()))), module)


@pytest.mark.parametrize("prefix", ["module.", "model.", "module.model.", "_orig_mod."])
def test_the_prefix_of_a_wrapper_is_taken_off(prefix: str) -> None:
    module = Small()
    assert same(mapped({prefix + name: tensor for name, tensor in module.state_dict().items()}), module)


def test_other_names_in_the_same_order_are_matched() -> None:
    module = Small()
    assert same(mapped(renamed(module, conv="stem.0", bn="stem.1", classifier="fc")), module)


def test_missing_counters_of_batch_norm_start_at_zero() -> None:
    module = Small()
    assert same(mapped(without_counters(module.state_dict())), module)
    assert same(mapped(without_counters(renamed(module, conv="stem"))), module)


def test_another_shape_is_refused_and_named() -> None:
    message = refusal(Small(classes=5).state_dict())
    assert "classifier.weight" in message
    assert "[5, 4]" in message
    assert "[3, 4]" in message


def test_another_order_under_other_names_is_refused() -> None:
    tensors = renamed(Small(), conv="stem")
    first, *rest = tensors
    assert "stem.bias [4], expected is conv.weight" in refusal({name: tensors[name] for name in (*rest, first)})


def test_equal_shapes_whose_names_end_otherwise_are_refused() -> None:
    tensors = renamed(Small(), bn="norm")
    swapped = {"norm.weight": "norm.bias", "norm.bias": "norm.weight"}
    assert "norm.bias" in refusal({swapped.get(name, name): tensor for name, tensor in tensors.items()})


def test_too_few_and_too_many_tensors_are_refused() -> None:
    tensors = renamed(Small(), conv="stem")
    assert "more.weight is too many" in refusal({**tensors, "more.weight": torch.zeros(1)})
    tensors.popitem()
    assert "classifier.bias is missing" in refusal(tensors)


def test_without_an_order_of_its_own_a_checkpoint_is_matched_by_name_alone() -> None:
    module = Small()
    assert same(mapped(module.state_dict(), ordered=False), module)
    assert "conv.weight is missing" in refusal(renamed(module, conv="stem"), ordered=False)


def test_values_take_the_dtype_of_the_library() -> None:
    half = {name: tensor.half() for name, tensor in Small().state_dict().items()}
    assert mapped(half)["conv.weight"].dtype == torch.float32


def test_a_trunk_is_filled_from_a_checkpoint_with_another_classifier() -> None:
    module = Small(classes=7)
    tensors = fit(Checkpoint(module.state_dict(), ordered=True), trunk(), Small).tensors
    assert torch.equal(tensors["conv.weight"], module.conv.weight)
    assert "classifier.weight" not in tensors


def test_a_trunk_is_filled_from_a_whole_model_under_other_names() -> None:
    module = Small()
    tensors = fit(Checkpoint(renamed(module, conv="stem"), ordered=True), trunk(), Small).tensors
    assert tensors.keys() == trunk().state_dict().keys()
    assert torch.equal(tensors["conv.weight"], module.conv.weight)


def test_the_classifier_is_kept_where_it_fits() -> None:
    module = Small()
    assert same(fit_whole(Checkpoint(module.state_dict(), ordered=True), trunk(), Small).tensors, module)
    kept = fit_whole(Checkpoint(Small(classes=7).state_dict(), ordered=True), trunk(), Small).tensors
    assert kept.keys() == trunk().state_dict().keys()


def test_filling_is_strict_to_the_name() -> None:
    tensors = Small().state_dict()
    for wrong in (without_counters(tensors), {**tensors, "more": torch.zeros(1)}):
        with pytest.raises(InvalidError, match="does not fit"):
            fill(Small(), wrong)


def test_filling_copies_every_parameter_and_buffer() -> None:
    source, target = Small(), Small()
    source.bn(torch.rand(2, 4, 3, 3))  # moves the running statistics
    fill(target, source.state_dict())
    assert same(target.state_dict(), source)
