import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from models_store import processors


def group(mount: Path, name: str, limit: str) -> None:
    (mount / name).mkdir(parents=True, exist_ok=True)
    (mount / name / "cpu.max").write_text(limit)


def own(folder: Path, name: str) -> Path:
    file = folder / "own"
    file.write_text(f"1:cpu:/elsewhere\n0::/{name}\n")
    return file


def test_a_group_without_a_limit_has_none(tmp_path: Path) -> None:
    group(tmp_path, "a/b", "max 100000\n")
    assert processors.quota(own(tmp_path, "a/b"), tmp_path) == math.inf
    assert processors.quota(tmp_path / "missing", tmp_path) == math.inf


@pytest.mark.parametrize(("outer", "inner"), [("150000 100000", "max 100000"), ("400000 100000", "75000 50000")])
def test_the_narrowest_of_a_group_and_those_around_it_counts(tmp_path: Path, outer: str, inner: str) -> None:
    group(tmp_path, "a", outer)
    group(tmp_path, "a/b", inner)
    assert processors.quota(own(tmp_path, "a/b"), tmp_path) == 1.5


def test_a_container_sees_its_own_group_at_the_root(tmp_path: Path) -> None:
    group(tmp_path, "", "200000 100000")
    assert processors.quota(own(tmp_path, ""), tmp_path) == 2.0


def test_what_the_operator_has_set_stays() -> None:
    assert processors.openmp({}) | {"OMP_NUM_THREADS": ""} == {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": ""}
    assert processors.openmp({"OMP_WAIT_POLICY": "ACTIVE", "OMP_NUM_THREADS": "3"}) == {}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process cannot be bound to processors")
def test_a_process_that_is_bound_to_one_processor_uses_one() -> None:
    script = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
    script += "from models_store.processors import usable; print(usable())"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "1"
    assert 1 <= processors.usable() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        ("processor : 0\nflags : fpu avx2 avx512f avx512_bf16\n", True),
        ("flags\t\t: fpu amx_bf16 amx_tile\n", True),
        ("Features\t: fp asimd bf16\n", True),
        ("flags : fpu avx2 avx512f\n", False),
        ("model name : a bf16 wonder\n", False),
        ("", False),
    ],
)
def test_a_cpu_with_instructions_for_it_is_known_by_its_flags(tmp_path: Path, cpuinfo: str, expected: bool) -> None:
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    assert processors.has_bfloat16(tmp_path / "cpuinfo") is expected


def test_a_machine_that_does_not_tell_has_none(tmp_path: Path) -> None:
    assert not processors.has_bfloat16(tmp_path / "missing")
