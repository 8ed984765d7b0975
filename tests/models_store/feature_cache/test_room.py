"""The cache stays within its bound; the least recently used goes first."""

import os
import shutil
import time
from pathlib import Path

from models_store.feature_cache.room import ABANDONED_SECONDS, Room
from tests.models_store.feature_cache.rows import features, files, items, recalled, shelf


def stored(store: Path, start: int, age: float, limit: int = 10**9, data_set: str = "sha256:a") -> int:
    """Another process stores four rows and has used them ``age`` seconds ago; gives the segment's bytes."""
    before = set(files(store))
    shelf(store, limit=limit, data_set=data_set).store(items(start, 4), features(items(start, 4)))
    (new,) = set(files(store)) - before
    os.utime(new, (time.time() - age, time.time() - age))
    return new.stat().st_size


def there(store: Path, *starts: int) -> list[bool]:
    """Which of the segments that begin so are there, without using them."""
    held = [file.read_bytes() for file in files(store)]
    return [any(items(start, 1).tobytes() in content for content in held) for start in starts]


def test_the_least_recently_used_makes_room_for_the_new(tmp_path: Path) -> None:
    size = stored(tmp_path, 0, age=300)
    stored(tmp_path, 4, age=200)
    recalled(shelf(tmp_path), items(0, 4))  # so that it is the other one now that was used longest ago
    stored(tmp_path, 8, age=0, limit=2 * size)
    assert there(tmp_path, 0, 4, 8) == [True, False, True]


def test_the_bound_holds_for_all_keys_and_data_sets_together(tmp_path: Path) -> None:
    size = stored(tmp_path, 0, age=300, data_set="sha256:a")
    for number in range(1, 12):
        stored(tmp_path, 4 * number, age=200 - number, limit=3 * size + 1, data_set=f"sha256:{number}")
        assert sum(file.stat().st_size for file in files(tmp_path)) <= 3 * size + 1
    assert there(tmp_path, 36, 40, 44) == [True, True, True]


def test_a_pass_that_is_larger_than_the_cache_keeps_its_beginning(tmp_path: Path) -> None:
    size = stored(tmp_path, 0, age=300)
    one = shelf(tmp_path, limit=2 * size)
    answers = [one.store(items(start, 4), features(items(start, 4))) for start in (4, 8, 12)]
    assert answers == [True, True, False]
    assert there(tmp_path, 0, 4, 8, 12) == [False, True, True, False]


def test_what_a_job_has_just_read_is_not_removed_for_what_it_computes(tmp_path: Path) -> None:
    size = stored(tmp_path, 0, age=300)
    one = shelf(tmp_path, limit=size)
    recalled(one, items(0, 4))
    assert not one.store(items(4, 4), features(items(4, 4)))
    assert there(tmp_path, 0, 4) == [True, False]


def test_half_of_what_the_disk_has_is_left_to_others(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    room = Room(tmp_path / "features", 10**18)
    assert not room.make(free * 3 // 4, set())
    assert room.make(free // 4, set())


def test_folders_of_which_nothing_is_left_go_too(tmp_path: Path) -> None:
    size = stored(tmp_path, 0, age=300, data_set="sha256:a")
    stored(tmp_path, 4, age=0, limit=size, data_set="sha256:b")
    assert [folder.name for folder in (tmp_path / "features").glob("*/*")] == ["b"]


def test_half_written_files_of_killed_processes_go_after_a_while(tmp_path: Path) -> None:
    stored(tmp_path, 0, age=0)
    folder = files(tmp_path)[0].parent
    old, young = folder / ".one.rows.aa.part", folder / ".two.rows.bb.part"
    for part in (old, young):
        part.write_bytes(b"half")
    then = time.time() - ABANDONED_SECONDS - 60
    os.utime(old, (then, then))
    stored(tmp_path, 4, age=0)
    assert (old.exists(), young.exists()) == (False, True)
