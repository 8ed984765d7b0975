"""A trunk is stored once under the name of its content, whole, and comes back to the bit."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from models_store import trunks
from models_store.backbones import FAMILIES
from models_store.backbones.family import Backbone
from models_store.errors import UnavailableError
from models_store.mirror import Mirror
from tests.models_store.samples import parameters_equal


def backbone(folder: Path) -> Backbone:
    return FAMILIES["timm"].load("test_resnet", None, Mirror(folder), {})


def test_a_trunk_comes_back_to_the_bit_and_in_eval_mode(tmp_path: Path) -> None:
    original = backbone(tmp_path)
    original.module.train()(torch.rand(2, 3, 160, 160))  # so that the statistics are not those of a new module
    module, architecture = trunks.load(tmp_path, trunks.put(tmp_path, original.module, original.architecture))
    assert parameters_equal(module, original.module)
    assert architecture == original.architecture
    assert not any(layer.training for layer in module.modules())


def test_an_equal_trunk_is_stored_once(tmp_path: Path) -> None:
    original = backbone(tmp_path)
    first = trunks.put(tmp_path, original.module, original.architecture)
    stored = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert trunks.put(tmp_path, original.module, original.architecture) == first
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == stored


def test_other_weights_and_other_pooling_are_other_trunks(tmp_path: Path) -> None:
    original = backbone(tmp_path)
    otherwise_used = replace(original.architecture, config={**original.architecture.config, "pooling": "mean"})
    names = {
        trunks.put(tmp_path, original.module, original.architecture),
        trunks.put(tmp_path, original.module, otherwise_used),
        trunks.put(tmp_path, backbone(tmp_path).module, original.architecture),
    }
    assert len(names) == 3


def test_tied_weights_are_stored_under_each_of_their_names(tmp_path: Path) -> None:
    tied = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    tied[1].weight = tied[0].weight
    sha256 = trunks.put(tmp_path, tied, backbone(tmp_path).architecture)
    stored = load_file(trunks.directory(tmp_path, sha256) / "trunk.safetensors")
    assert stored.keys() == {"0.weight", "0.bias", "1.weight", "1.bias"}
    assert torch.equal(stored["0.weight"], stored["1.weight"])


def test_what_a_removal_has_left_of_a_trunk_is_replaced(tmp_path: Path) -> None:
    original = backbone(tmp_path)
    sha256 = trunks.put(tmp_path, original.module, original.architecture)
    (trunks.directory(tmp_path, sha256) / "trunk.safetensors").unlink()
    assert not trunks.is_there(tmp_path, sha256)
    assert trunks.put(tmp_path, original.module, original.architecture) == sha256
    assert parameters_equal(trunks.load(tmp_path, sha256)[0], original.module)


def test_a_missing_trunk_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError) as caught:
        trunks.load(tmp_path, "0" * 64)
    assert caught.value.code == "trunk_missing"


def test_a_flipped_bit_is_told(tmp_path: Path) -> None:
    original = backbone(tmp_path)
    sha256 = trunks.put(tmp_path, original.module, original.architecture)
    path = trunks.directory(tmp_path, sha256) / "trunk.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(UnavailableError) as caught:
        trunks.load(tmp_path, sha256)
    assert caught.value.code == "trunk_damaged"
