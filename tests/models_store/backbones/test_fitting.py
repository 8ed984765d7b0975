"""The part of a checkpoint that holds a module is found by names and shapes, below any prefix."""

import pytest
import torch
from torch import nn

from models_store.backbones.checkpoints import Checkpoint
from models_store.backbones.fitting import closest, fits, outline, part
from tests.models_store.kept import renamed, seeded


def body() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 5, 3))


def checkpoint(*states: dict[str, torch.Tensor], ordered: bool = True) -> Checkpoint:
    return Checkpoint({name: tensor for state in states for name, tensor in state.items()}, ordered)


def found(source: Checkpoint) -> list[str]:
    return [fit.prefix for fit in fits(source, body().state_dict())]


HEAD = renamed(nn.Linear(5, 2), "head")


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        (["encoder.0.weight", "encoder.2.weight", "decoder.0.weight"], ["encoder", "decoder"]),
        (["net.encoder.0.weight", "net.decoder.0.weight"], ["net", "net.encoder", "net.decoder"]),
        (["scale", "encoder.weight"], ["encoder"]),
        (["weight", "bias"], []),
    ],
)
def test_the_outline_shows_the_parts_that_a_person_would_name(names: list[str], parts: list[str]) -> None:
    assert outline(names) == parts


@pytest.mark.parametrize("prefix", ["model", "net.encoder", "모델.인코더"])
def test_a_module_is_found_below_any_prefix(prefix: str) -> None:
    module = seeded(body(), 1)
    (fit,) = fits(checkpoint(renamed(module, prefix), HEAD), body().state_dict())
    assert fit.prefix == prefix
    assert all(torch.equal(fit.tensors[name], tensor) for name, tensor in module.state_dict().items())


def test_a_module_that_is_everything_is_found_as_everything() -> None:
    assert found(checkpoint(body().state_dict())) == [""]


def test_two_that_fit_are_both_told() -> None:
    assert found(checkpoint(renamed(body(), "student"), renamed(body(), "teacher"))) == ["student", "teacher"]


def test_one_inside_another_that_fits_is_told_too() -> None:
    assert found(checkpoint(renamed(body(), "net"), renamed(body(), "net.teacher"))) == ["net", "net.teacher"]


def test_the_same_tensors_seen_from_two_prefixes_count_once() -> None:
    other = nn.Sequential()
    for name, layer in zip(("first", "norm", "second"), body(), strict=True):
        other.add_module(name, layer)
    assert found(checkpoint(renamed(other, "wrapped.model"))) == ["wrapped.model"]


def test_where_no_names_fit_order_and_shapes_decide() -> None:
    module = nn.ModuleDict({"stem": nn.Conv2d(3, 4, 3), "norm": nn.BatchNorm2d(4), "top": nn.Conv2d(4, 5, 3)})
    (fit,) = fits(checkpoint(renamed(module, "net"), HEAD), body().state_dict())
    assert fit.prefix == "net"
    assert torch.equal(fit.tensors["2.weight"], module.state_dict()["top.weight"])


def test_a_last_layer_beyond_the_module_is_left_aside() -> None:
    layers = {"stem": nn.Conv2d(3, 4, 3), "norm": nn.BatchNorm2d(4), "top": nn.Conv2d(4, 5, 3), "fc": nn.Linear(5, 9)}
    assert found(checkpoint(renamed(nn.ModuleDict(layers), "net"))) == ["net"]


def test_names_alone_decide_where_the_order_is_not_known() -> None:
    module = nn.ModuleDict({"stem": nn.Conv2d(3, 4, 3), "norm": nn.BatchNorm2d(4), "top": nn.Conv2d(4, 5, 3)})
    assert found(checkpoint(renamed(module, "net"), ordered=False)) == []


def test_other_shapes_do_not_fit_and_the_closest_part_is_told() -> None:
    wider = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 7, 3))
    source = checkpoint(renamed(wider, "net"), HEAD)
    assert found(source) == []
    told = closest(source, body().state_dict())
    assert "net with 7 of 9" in told
    assert "2.weight has the shape [7, 4, 3, 3], expected is [5, 4, 3, 3]" in told


def test_a_part_is_named_from_its_prefix() -> None:
    source = checkpoint(renamed(nn.Linear(2, 2), "net"), renamed(nn.Linear(2, 2), "network"))
    assert list(part(source, "net").tensors) == ["weight", "bias"]
