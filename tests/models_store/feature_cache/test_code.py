"""Code that may compute otherwise has another hash."""

import importlib
import sys
from pathlib import Path

import pytest
from torch import nn

from models_store.feature_cache.code import code_sha256


def test_an_edited_plugin_has_another_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    plugin = tmp_path / "plugin_under_edit.py"
    hashes = []
    for factor in (1, 2, 1):
        plugin.write_text(f"from torch import nn\n\n\nclass Module(nn.Module):\n    factor = {factor}\n")
        sys.modules.pop(plugin.stem, None)
        importlib.invalidate_caches()
        module = importlib.import_module(plugin.stem).Module()
        hashes.append(code_sha256(nn.Sequential(module).modules()))
    assert hashes[0] == hashes[2] != hashes[1]


def test_another_class_of_the_same_file_has_another_hash() -> None:
    class One(nn.Module):
        pass

    class Other(nn.Module):
        pass

    assert code_sha256([One()]) == code_sha256([One(), One()]) != code_sha256([Other()])
