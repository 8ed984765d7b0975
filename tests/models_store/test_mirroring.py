"""Folders of strangers are looked at by a process that has nothing: what it may do, and what comes back."""

import json
import os
import socket
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from models_store import mirroring
from models_store.errors import ConflictError, InvalidError
from models_store.mirror import Mirror
from tests.models_store.samples import minilm

NAME = "hf/tests/minilm"


def _zipped(folder: Path, into: Path, **instead: bytes) -> Path:
    """The folder in a zip, with other contents under some of the names."""
    with zipfile.ZipFile(into, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                name = file.relative_to(folder).as_posix()
                archive.writestr(name, instead.get(file.stem, file.read_bytes()))
    return into


def test_a_folder_is_added_as_the_mirror_would(tmp_path: Path) -> None:
    source = _zipped(minilm(), tmp_path / "up.zip")
    entry = mirroring.add(tmp_path / "store", NAME, "main", source)
    assert Mirror(tmp_path / "store").list() == [entry]
    assert (entry.backbone, entry.weights) == (NAME, "main")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store", "up.zip"], "nothing of the child is left"


def test_its_refusals_come_back_as_they_are(tmp_path: Path) -> None:
    source = _zipped(minilm(), tmp_path / "up.zip", config=b"{")
    with pytest.raises(InvalidError) as caught:
        mirroring.add(tmp_path / "store", NAME, "main", source)
    assert caught.value.code == "unreadable_weights"
    assert "config.json is not JSON" in caught.value.message
    assert Mirror(tmp_path / "store").list() == []


@pytest.mark.slow
def test_other_weights_under_the_same_name_are_a_conflict(tmp_path: Path) -> None:
    store = tmp_path / "store"
    mirroring.add(store, NAME, "main", _zipped(minilm(), tmp_path / "up.zip"))
    config = json.loads((minilm() / "config.json").read_text()) | {"tests": 1}
    other = _zipped(minilm(), tmp_path / "other.zip", config=json.dumps(config).encode())
    with pytest.raises(ConflictError) as caught:
        mirroring.add(store, NAME, "main", other)
    assert caught.value.code == "weights_exist"


@pytest.mark.parametrize(
    "sizes",
    [
        {"hidden_size": 2**20},
        pytest.param({"num_hidden_layers": 10**7}, marks=pytest.mark.slow),
        pytest.param({"vocab_size": 2**40}, marks=pytest.mark.slow),
    ],
)
def test_a_folder_that_claims_a_giant_model_takes_its_child_down_and_no_more(
    sizes: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirroring, "wall_seconds", lambda _size: 20)
    config = json.loads((minilm() / "config.json").read_text()) | sizes
    source = _zipped(minilm(), tmp_path / "up.zip", config=json.dumps(config).encode())
    with pytest.raises(InvalidError) as caught:
        mirroring.add(tmp_path / "store", NAME, "main", source)
    assert caught.value.code in {"unreadable_weights", "weights_mismatch", "unsupported_backbone"}
    assert Mirror(tmp_path / "store").list() == []
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_child_knows_no_secret_of_its_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINETUNED_API_KEY", "canary")
    monkeypatch.setenv("FINETUNED_DATABASE_URL", "canary")
    environment = mirroring._environment(tmp_path)
    assert "canary" not in environment.values()
    assert {name for name in environment if name.startswith("FINETUNED")} == set()
    assert environment["PATH"] == os.environ["PATH"]


def test_the_child_reaches_no_network(tmp_path: Path) -> None:
    """What `main` begins with, and then a call of the kind that the child must not make."""
    listener = socket.create_server(("127.0.0.1", 0))
    came = threading.Event()

    def accept() -> None:
        listener.accept()
        came.set()

    threading.Thread(target=accept, daemon=True).start()
    script = (
        "from models_store.quarantine.confinement import confine\n"
        "confine(more_memory=2**30, file_size=2**20, cpu_seconds=60)\n"
        "import socket\n"
        "try:\n"
        f"    socket.create_connection(('127.0.0.1', {listener.getsockname()[1]}))\n"
        "except PermissionError:\n"
        "    print('forbidden')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout == "forbidden\n"
    assert not came.is_set()
