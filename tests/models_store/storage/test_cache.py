"""Copies on a machine's disk: how much of it they take, and what never goes."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from models_store.storage.cache import Cache
from models_store.storage.manifest import Manifest
from models_store.storage.shared import SharedStorage
from tests.e2e.service import ROOT, until
from tests.models_store.storage.conftest import Machine, Shared
from tests.models_store.storage.test_contract import read

KILOBYTE = b"x" * 1000


def stored(shared: Shared, *names: str) -> None:
    """Folders of one kilobyte each that the store has."""
    writer = shared.machine("writer")
    for name in names:
        writer.storage.push(writer.folder(f"datasets/{name}", content=KILOBYTE))


def here(machine: Machine) -> set[str]:
    return {path.name for path in (machine.store_dir / "datasets").iterdir()}


def used_in_this_order(machine: Machine, *names: str) -> None:
    """Clocks of file systems are too coarse for a test."""
    for age, name in enumerate(reversed(names)):
        then = time.time() - 60 - age
        os.utime(machine.store_dir / "datasets" / name, (then, then))


def test_the_least_recently_used_copy_goes_first(shared: Shared) -> None:
    stored(shared, "a", "b", "c", "d")
    reader = shared.machine("reader", storage_cache_bytes=3_500)
    for name in ("a", "b", "c"):
        read(reader, f"datasets/{name}")
    used_in_this_order(reader, "a", "b", "c")
    read(reader, "datasets/a")
    assert read(reader, "datasets/d") == {"content": KILOBYTE}
    assert here(reader) == {"a", "c", "d"}


def test_what_is_in_use_never_goes(shared: Shared) -> None:
    stored(shared, "a", "b", "c")
    reader = shared.machine("reader", storage_cache_bytes=1_500)
    with reader.storage.using(reader.store_dir / "datasets" / "a"):
        assert read(reader, "datasets/b") == {"content": KILOBYTE}
        assert read(reader, "datasets/c") == {"content": KILOBYTE}
        assert here(reader) == {"a", "c"}
        assert not reader.storage.forget(reader.store_dir / "datasets" / "a")
    assert reader.storage.forget(reader.store_dir / "datasets" / "a")


def test_what_has_not_reached_the_store_never_goes(shared: Shared) -> None:
    stored(shared, "a", "b")
    reader = shared.machine("reader", storage_cache_bytes=0)
    reader.folder("datasets/mine", content=KILOBYTE)
    for name in ("a", "b"):
        read(reader, f"datasets/{name}")
    assert here(reader) == {"mine", "b"}


def test_a_copy_that_is_larger_than_the_bound_is_had_all_the_same(shared: Shared) -> None:
    stored(shared, "a")
    reader = shared.machine("reader", storage_cache_bytes=10)
    assert read(reader, "datasets/a") == {"content": KILOBYTE}


def test_a_held_folder_stays_until_its_process_ends(shared: Shared) -> None:
    stored(shared, "a")
    reader = shared.machine("reader")
    folder = reader.store_dir / "datasets" / "a"
    code = "import sys\nfrom models_store.storage.cache import Cache\nfrom pathlib import Path\n"
    code += "Cache(Path(sys.argv[1]), 0).taken(Path(sys.argv[2]))\nprint('held', flush=True)\nsys.stdin.read()"
    read(reader, "datasets/a")
    command = [sys.executable, "-c", code, str(reader.store_dir), str(folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert not reader.storage.forget(folder)
        holder.kill()
    until(lambda: reader.storage.forget(folder), 10, "the copy is free")


def test_a_folder_that_was_removed_and_came_again_is_locked_as_it_is_now(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 0)
    folder = tmp_path / "datasets" / "a"
    folder.mkdir(parents=True)
    first = cache.taken(folder)
    assert first is not None
    os.close(first)
    assert cache.drop(folder)
    folder.mkdir()
    second = cache.taken(folder)
    assert second is not None
    assert os.path.samestat(os.fstat(second), folder.stat())
    os.close(second)


def test_of_many_who_want_the_same_at_once_one_fetches_it(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    stored(shared, "a")
    fetched: list[Path] = []
    download = SharedStorage._download

    def counted(storage: SharedStorage, folder: Path, found: Manifest) -> None:
        fetched.append(folder)
        download(storage, folder, found)

    monkeypatch.setattr(SharedStorage, "_download", counted)
    readers = [shared.machine("reader") for _ in range(8)]
    with ThreadPoolExecutor(len(readers)) as pool:
        found = list(pool.map(lambda reader: read(reader, "datasets/a"), readers))
    assert found == [{"content": KILOBYTE}] * len(readers)
    assert len(fetched) == 1
