"""What a user sends is opened by a process that can do little, and gives tensors or an error."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import load_file

from models_store.errors import InvalidError
from models_store.quarantine import content
from models_store.quarantine.opening import extract
from tests.app.service import until
from tests.models_store.lightning import LitAutoencoder, trained


class Canary:
    """Unpickling this makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def saved(value: object, folder: Path, name: str = "weights.ckpt") -> Path:
    torch.save(value, folder / name)
    return folder / name


def refusal(source: Path) -> InvalidError:
    destination = source.with_name("out.safetensors")
    with pytest.raises(InvalidError) as caught:
        extract(source, destination)
    assert not destination.exists()
    return caught.value


def test_the_tensors_of_a_lightning_checkpoint_come_out_in_their_order(tmp_path: Path) -> None:
    module = LitAutoencoder()
    destination = tmp_path / "out.safetensors"
    extract(trained(module, tmp_path, 16), destination)
    stored, expected = load_file(destination), module.state_dict()
    assert content.order(destination) == list(expected)
    assert all(torch.equal(stored[name], tensor) for name, tensor in expected.items())
    assert content.read(destination)[1], "it is known to be in order"


def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    source = saved({"state_dict": {"a.weight": torch.ones(2)}, "hyper_parameters": {"x": Canary(canary)}}, tmp_path)
    assert refusal(source).code == "unsafe_weights"
    assert not canary.exists()
    torch.load(source, weights_only=False)  # the canary does sing where the file is trusted
    assert canary.exists()


def test_a_tensor_that_unfolds_to_far_more_than_the_file_is_refused(tmp_path: Path) -> None:
    source = saved({"a.weight": torch.zeros(1).expand(500_000_000)}, tmp_path)
    assert source.stat().st_size < 10_000
    assert refusal(source).code == "unreadable_weights"


def confined(work: str, tmp_path: Path, more: str = "") -> subprocess.CompletedProcess[str]:
    """Run a line of Python in a process that was confined as the one that reads is."""
    script = f"""
import os, socket, sys
from models_store.quarantine.confinement import confine
confine(more_memory=200 << 20, file_size=1000, cpu_seconds=2{more})
{work}
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def harmless() -> Callable[[str], bool]:
    """Whether the line runs through where nothing is forbidden: else its failing would prove nothing."""

    def runs(work: str) -> bool:
        command = [sys.executable, "-c", f"import os, socket, sys\n{work}", "."]
        return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0

    return runs


@pytest.mark.parametrize(
    ("work", "said"),
    [
        ("socket.socket()", "PermissionError"),
        ("os.execv('/bin/true', ['true'])", "PermissionError"),
        ("x = bytearray(400 << 20)", "MemoryError"),
    ],
)
def test_a_confined_process_has_no_network_no_programs_and_little_memory(
    work: str, said: str, harmless: Callable[[str], bool], tmp_path: Path
) -> None:
    assert harmless(work)
    done = confined(work, tmp_path)
    assert done.returncode == 1
    assert said in done.stderr


def test_one_that_needs_a_database_elsewhere_has_the_network_and_no_programs(tmp_path: Path) -> None:
    assert confined("socket.socket()", tmp_path, ", network=True").returncode == 0
    assert "PermissionError" in confined("os.execv('/bin/true', ['true'])", tmp_path, ", network=True").stderr


def test_a_confined_process_writes_no_large_files(tmp_path: Path) -> None:
    twice = "file = open(sys.argv[1] + '/large', 'wb', 0); file.write(bytes(1000)); file.write(b'one more')"
    assert "File too large" in confined(twice, tmp_path).stderr
    assert (tmp_path / "large").stat().st_size == 1000


def test_a_confined_process_that_computes_without_end_is_killed(tmp_path: Path) -> None:
    assert confined("while True: pass", tmp_path).returncode < 0


def test_the_process_that_reads_gets_no_secrets(tmp_path: Path) -> None:
    fifo = tmp_path / "endless.ckpt"
    os.mkfifo(fifo)  # whoever reads it waits, and can be looked at
    script = "import sys; from pathlib import Path; from models_store.quarantine.opening import extract\n"
    script += "extract(Path(sys.argv[1]), Path(sys.argv[1] + '.out'))"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "FINETUNED_API_KEY": "ft_secret"}
    asking = subprocess.Popen([sys.executable, "-c", script, str(fifo)], env=env, stderr=subprocess.DEVNULL)
    try:
        (reading,) = until(psutil.Process(asking.pid).children, 30)
        environment = until(lambda: "models_store.quarantine" in reading.cmdline() and reading.environ(), 30)
        assert "FINETUNED_API_KEY" not in environment
        assert environment.keys() <= {"PATH", "PYTHONPATH", "PYTHONUTF8", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH"}
        reading.kill()
    finally:
        asking.kill()
        asking.wait(10)
