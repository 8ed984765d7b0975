"""Tensors and plain values come out of a file, or an error; nothing in it is run."""

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from models_store.errors import InvalidError
from models_store.quarantine import content


class Canary:
    """Unpickling this makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def lightning_like(folder: Path, **more: object) -> Path:
    path = folder / "weights.ckpt"
    torch.save({"epoch": 1, "state_dict": {"b.weight": torch.ones(2), "a.weight": torch.ones(1)}, **more}, path)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(InvalidError) as caught:
        content.read(path)
    return caught.value.code


def test_a_lightning_checkpoint_gives_its_state_dict_and_nothing_else(tmp_path: Path) -> None:
    plain = {"hyper_parameters": {"rate": 0.1}, "optimizer_states": [{"state": {0: {"step": torch.ones(1)}}}]}
    tensors, ordered = content.read(lightning_like(tmp_path, **plain))
    assert list(tensors) == ["b.weight", "a.weight"]
    assert ordered


@pytest.mark.parametrize("where", ["hyper_parameters", "callbacks", "optimizer_states"])
def test_code_anywhere_in_a_checkpoint_is_refused_and_not_run(where: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    path = lightning_like(tmp_path, **{where: {"x": Canary(canary)}})
    assert refusal(path) == "unsafe_weights"
    assert not canary.exists()
    torch.load(path, weights_only=False)  # the canary does sing where the file is trusted
    assert canary.exists()


def test_a_bare_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(pickle.dumps(Canary(tmp_path / "canary")))
    assert refusal(path) == "unsafe_weights"
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("content", [b"\x80\x02J\1", b"\x80\x02M\1", b"\x80\x02G\1", b"\x80\x02"])
def test_a_pickle_that_ends_within_a_number_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(content)
    assert refusal(path) in {"unreadable_weights", "unsafe_weights"}


def test_hyper_parameters_that_name_a_function_to_call_are_refused(tmp_path: Path) -> None:
    path = lightning_like(tmp_path, hyper_parameters={"_instantiator": "os.system", "command": "id"})
    assert refusal(path) == "unsafe_weights"


def test_weights_that_are_tied_are_stored_under_each_name(tmp_path: Path) -> None:
    tied = torch.arange(4.0)
    content.write({"a.weight": tied, "b.weight": tied}, tmp_path / "out.safetensors")
    stored = load_file(tmp_path / "out.safetensors")
    assert stored["a.weight"].tolist() == stored["b.weight"].tolist() == [0, 1, 2, 3]


def test_what_was_written_comes_back_in_its_order(tmp_path: Path) -> None:
    path = tmp_path / "out.safetensors"
    content.write({"나.weight": torch.ones(2), "가.weight": torch.ones(1)}, path)
    tensors, ordered = content.read(path)
    assert list(tensors) == content.order(path) == ["나.weight", "가.weight"]
    assert ordered


def test_an_order_that_is_not_of_these_tensors_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "forged.safetensors"
    save_file({"b": torch.ones(2), "a": torch.ones(1)}, path, metadata={"order": '["a", "x"]'})
    tensors, ordered = content.read(path)
    assert sorted(tensors) == ["a", "b"]
    assert not ordered


def test_a_tensor_that_cannot_be_stored_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidError) as caught:
        content.write({"a": torch.eye(2).to_sparse()}, tmp_path / "out.safetensors")
    assert caught.value.code == "unreadable_weights"
