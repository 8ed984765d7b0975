from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load, load_file, save_file

from models_store.exchange.tensors import CHUNK, as_safetensors, computed_tensor, safetensors_size, stored_tensors


def stored(folder: Path) -> tuple[Path, dict[str, torch.Tensor]]:
    """A file whose narrow types have odd lengths, so that what follows them would be out of place."""
    tensors = {
        "weight": torch.randn(3, 5),
        "flags": torch.tensor([True, False, True]),
        "count": torch.tensor(7),
        "half": torch.randn(5, dtype=torch.float32).half(),
        "bytes": torch.arange(5, dtype=torch.uint8),
        "nothing": torch.empty(0, 4),
    }
    save_file(tensors, folder / "trunk.safetensors")
    return folder / "trunk.safetensors", tensors


def test_the_library_reads_what_was_put_together(tmp_path: Path) -> None:
    path, tensors = stored(tmp_path)
    head = torch.randn(2, 3)
    parts = [tensor.renamed(f"backbone.{tensor.name}") for tensor in stored_tensors(path)]
    made = computed_tensor("head.weight", (2, 3), head.numpy().tobytes())
    (tmp_path / "model.safetensors").write_bytes(b"".join(as_safetensors([*parts, made])))
    found = load_file(tmp_path / "model.safetensors")
    expected = {**{f"backbone.{name}": tensor for name, tensor in tensors.items()}, "head.weight": head}
    assert found.keys() == expected.keys()
    assert all(found[name].dtype == expected[name].dtype for name in expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_every_tensor_lies_where_its_type_may_lie(tmp_path: Path) -> None:
    path, _ = stored(tmp_path)
    made = computed_tensor("head.weight", (1,), torch.ones(1).numpy().tobytes())
    (tmp_path / "model.safetensors").write_bytes(b"".join(as_safetensors([*stored_tensors(path), made])))
    widths = {"F32": 4, "I64": 8, "F16": 2}
    for tensor in stored_tensors(tmp_path / "model.safetensors"):
        assert tensor.offset % widths.get(tensor.dtype, 1) == 0, tensor.name


def test_the_file_says_that_it_is_pytorchs(tmp_path: Path) -> None:
    path, _ = stored(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"".join(as_safetensors(stored_tensors(path))))
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}  # transformers refuses a file without it


def test_the_size_is_told_before_and_is_right(tmp_path: Path) -> None:
    tensors = stored_tensors(stored(tmp_path)[0])
    assert safetensors_size(tensors) == len(b"".join(as_safetensors(tensors)))


def test_no_chunk_is_larger_than_a_mebibyte(tmp_path: Path) -> None:
    large = torch.randn(3 * CHUNK // 4 + 5)
    save_file({"large": large}, tmp_path / "trunk.safetensors")
    pieces = list(as_safetensors(stored_tensors(tmp_path / "trunk.safetensors")))
    assert max(map(len, pieces)) <= CHUNK
    assert torch.equal(load(b"".join(pieces))["large"], large)


def test_a_file_that_is_cut_off_is_not_passed_on_as_whole(tmp_path: Path) -> None:
    save_file({"large": torch.randn(1000)}, tmp_path / "trunk.safetensors")
    tensors = stored_tensors(tmp_path / "trunk.safetensors")
    (tmp_path / "trunk.safetensors").write_bytes((tmp_path / "trunk.safetensors").read_bytes()[:-100])
    with pytest.raises(OSError, match="cut off"):
        b"".join(as_safetensors(tensors))
