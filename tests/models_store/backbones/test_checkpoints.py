"""A checkpoint of others gives tensors, or an error; it never runs."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from models_store.backbones.checkpoints import read_checkpoint
from models_store.errors import InvalidError


class Canary:
    """Unpickling this makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def refusal(path: Path) -> str:
    with pytest.raises(InvalidError) as caught:
        read_checkpoint(path)
    return caught.value.code


def saved(content: object, folder: Path, **options: Any) -> Path:
    path = folder / "weights.pth"
    torch.save(content, path, **options)
    return path


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_pickle_is_refused_and_not_run(zipped: bool, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    path = saved({"weight": torch.zeros(1), "more": Canary(canary)}, tmp_path, _use_new_zipfile_serialization=zipped)
    assert refusal(path) == "unsafe_weights"
    assert not canary.exists()
    torch.load(path, weights_only=False)  # the canary does sing where the file is trusted
    assert canary.exists()


@pytest.mark.parametrize("key", [None, "state_dict", "model", "state_dict_ema"])
def test_tensors_are_found_where_training_scripts_put_them(key: str | None, tmp_path: Path) -> None:
    tensors = {"b.weight": torch.ones(2), "a.weight": torch.zeros(3)}
    checkpoint = read_checkpoint(saved({key: tensors, "epoch": 3} if key else tensors, tmp_path))
    assert list(checkpoint.tensors) == ["b.weight", "a.weight"]
    assert checkpoint.ordered


def test_averaged_weights_come_before_the_last_ones(tmp_path: Path) -> None:
    content = {"state_dict": {"weight": torch.zeros(1)}, "state_dict_ema": {"weight": torch.ones(1)}}
    assert read_checkpoint(saved(content, tmp_path)).tensors["weight"].item() == 1


def test_safetensors_have_no_order_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({"weight": torch.ones(2)}, path)
    checkpoint = read_checkpoint(path)
    assert not checkpoint.ordered
    assert checkpoint.tensors["weight"].tolist() == [1, 1]


@pytest.mark.parametrize("content", [{}, [torch.zeros(1)], 3, {"epoch": 1}])
def test_a_file_without_named_tensors_is_refused(content: object, tmp_path: Path) -> None:
    assert refusal(saved(content, tmp_path)) == "unreadable_weights"


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
@pytest.mark.parametrize("content", [b"", b"hello", b"\xff" * 64, b"PK\x03\x04" + b"\x00" * 40, b"\x80\x02."])
def test_damaged_files_are_refused(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    assert refusal(tmp_path / name) in {"unreadable_weights", "unsafe_weights"}


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = saved({"weight": torch.rand(1000)}, tmp_path)
    path.write_bytes(path.read_bytes()[:2000])
    assert refusal(path) in {"unreadable_weights", "unsafe_weights"}
