"""What is told of GPUs, by an ``nvidia-smi`` that says what a real one says."""

import os
from pathlib import Path

import pytest

from worker import gpus

SMI = """#!/bin/sh
case "$1" in
  --query-gpu=name) printf 'NVIDIA A100-SXM4-80GB\\nNVIDIA A100-SXM4-80GB\\n' ;;
  --query-gpu=memory.used,memory.total) printf '1024, 81920\\n2048, 81920\\n' ;;
  *) exit 6 ;;
esac
"""


def installed(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / "nvidia-smi"
    program.write_text(script)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_names_and_memory_of_all_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, SMI, monkeypatch)
    assert gpus.names() == "NVIDIA A100-SXM4-80GB, NVIDIA A100-SXM4-80GB"
    assert gpus.memory() == {"used": 3 * 2**30, "total": 160 * 2**30}


@pytest.mark.parametrize(
    "script", ["#!/bin/sh\nexit 9\n", "#!/bin/sh\necho '[N/A], [N/A]'\n", "#!/bin/sh\n", "no program"]
)
def test_what_does_not_answer_tells_nothing(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, script, monkeypatch)
    assert gpus.memory() is None


def test_without_one_it_is_a_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpus.names() == "cpu"
    assert gpus.memory() is None
