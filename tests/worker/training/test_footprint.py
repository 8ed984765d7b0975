from pathlib import Path

import pytest
import torch

from worker.training import footprint
from worker.training.footprint import Peak, available, resident

MIB = 2**20


def test_a_peak_is_seen_though_it_is_over_at_the_end() -> None:
    before = resident()
    assert before is not None
    with Peak() as peak:
        for _ in range(3):
            torch.ones(50 * MIB)  # 200 MiB that are given back at once
    assert peak.bytes is not None
    assert 150 * MIB < peak.bytes - before < 400 * MIB


def test_a_system_that_does_not_tell_gives_no_peak() -> None:
    with Peak(lambda: None) as peak:
        pass
    assert peak.bytes is None


def test_there_is_memory_left_on_this_machine() -> None:
    left = available()
    assert left is not None
    assert left > 10 * MIB


@pytest.mark.parametrize(
    ("limit", "used", "expected"),
    [("1000000", "400000", 600_000), ("max", "400000", None), ("1000", "2000", 0), ("", "", None)],
)
def test_a_cgroups_limit_counts(tmp_path: Path, limit: str, used: str, expected: int | None) -> None:
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "memory.current").write_text(f"{used}\n")
    assert footprint.allowed(tmp_path) == expected


def test_without_a_cgroup_there_is_no_limit(tmp_path: Path) -> None:
    assert footprint.allowed(tmp_path) is None
