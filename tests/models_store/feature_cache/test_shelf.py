"""Features that are found are those that were stored; everything else is a miss."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models_store.feature_cache import folders
from models_store.feature_cache.shelf import SEGMENT_BYTES, Keeper
from tests.models_store.feature_cache.rows import KEY, WIDTH, features, files, items, recalled, shelf


def test_another_process_finds_what_was_stored_in_any_order_and_no_more(tmp_path: Path) -> None:
    shelf(tmp_path).store(items(0, 10), features(items(0, 10)))
    wanted = items(5, 10)[::-1]
    found, values = recalled(shelf(tmp_path), wanted)
    assert found.tolist() == [False] * 5 + [True] * 5
    assert np.array_equal(values[5:], features(wanted[5:]))


def test_jobs_on_another_data_set_find_the_items_that_both_have(tmp_path: Path) -> None:
    shelf(tmp_path, data_set="sha256:a").store(items(0, 10), features(items(0, 10)))
    found, values = recalled(shelf(tmp_path, data_set="sha256:b"), items(8, 4))
    assert found.tolist() == [True, True, False, False]
    assert np.array_equal(values[:2], features(items(8, 2)))


@pytest.mark.parametrize("part", ["trunk", "preprocessing", "code", "computed_by"])
def test_what_was_computed_otherwise_is_not_found(tmp_path: Path, part: str) -> None:
    shelf(tmp_path).store(items(0, 4), features(items(0, 4)))
    assert not recalled(shelf(tmp_path, key=replace(KEY, **{part: "another"})), items(0, 4))[0].any()


def _flip(file: Path, place: int) -> None:
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(data)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a bit of the last row": lambda file: _flip(file, -1),
    "a bit of an item": lambda file: _flip(file, 60),
    "a bit of the checksum": lambda file: _flip(file, 20),
    "a bit of the size": lambda file: _flip(file, 40),
    "cut off": lambda file: file.write_bytes(file.read_bytes()[:-1]),
    "cut in the head": lambda file: file.write_bytes(file.read_bytes()[:30]),
    "empty": lambda file: file.write_bytes(b""),
    "zeros": lambda file: file.write_bytes(bytes(file.stat().st_size)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_segment_is_a_miss_and_the_others_are_found(tmp_path: Path, damage: str) -> None:
    one = shelf(tmp_path)
    one.store(items(0, 8), features(items(0, 8)))
    (file,) = files(tmp_path)
    one.store(items(8, 8), features(items(8, 8)))
    DAMAGES[damage](file)
    found, values = recalled(shelf(tmp_path), items(0, 16))
    assert found.tolist() == [False] * 8 + [True] * 8
    assert np.array_equal(values[8:], features(items(8, 8)))
    shelf(tmp_path).store(items(0, 8), features(items(0, 8)))
    assert recalled(shelf(tmp_path), items(0, 16))[0].all()


def test_a_damaged_segment_is_removed(tmp_path: Path) -> None:
    shelf(tmp_path).store(items(0, 8), features(items(0, 8)))
    _flip(files(tmp_path)[0], -1)
    recalled(shelf(tmp_path), items(0, 8))
    assert files(tmp_path) == []


def test_a_segment_that_is_removed_while_others_are_read_is_a_miss(tmp_path: Path) -> None:
    one = shelf(tmp_path)
    for start in (0, 4, 8):
        one.store(items(start, 4), features(items(start, 4)))
    reads = 0

    def look() -> None:
        nonlocal reads
        reads += 1
        if reads == 2:
            for file in files(tmp_path):
                file.unlink()

    assert one.recall(items(0, 12), lambda _places, _rows: None, look).sum() == 4


def test_a_cache_that_is_switched_off_gives_and_takes_nothing(tmp_path: Path) -> None:
    shelf(tmp_path).store(items(0, 4), features(items(0, 4)))
    off = shelf(tmp_path, limit=0)
    assert not recalled(off, items(0, 4))[0].any()
    with Keeper(off) as keeper:
        keeper.add(items(4, 4), features(items(4, 4)))
    assert not recalled(shelf(tmp_path), items(4, 4))[0].any()


def test_rows_are_stored_in_segments_as_they_come_and_the_rest_at_the_end(tmp_path: Path) -> None:
    rows = SEGMENT_BYTES // (4 * WIDTH) // 2
    with Keeper(shelf(tmp_path)) as keeper:
        for start in (0, rows, 2 * rows):
            keeper.add(items(start, rows), features(items(start, rows)))
        assert recalled(shelf(tmp_path), items(0, 3 * rows))[0].sum() == 2 * rows
    found, values = recalled(shelf(tmp_path), items(0, 3 * rows))
    assert found.all()
    assert np.array_equal(values, features(items(0, 3 * rows)))


def test_rows_that_were_given_are_stored_as_they_were_then(tmp_path: Path) -> None:
    given = features(items(0, 4))
    with Keeper(shelf(tmp_path)) as keeper:
        keeper.add(items(0, 4), given)
        given[:] = 0  # its owner uses the memory for the next batch
    assert np.array_equal(recalled(shelf(tmp_path), items(0, 4))[1], features(items(0, 4)))


def test_a_work_that_is_stopped_keeps_what_it_has_computed(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Keeper(shelf(tmp_path)) as keeper:
        keeper.add(items(0, 4), features(items(0, 4)))
        raise KeyboardInterrupt
    assert recalled(shelf(tmp_path), items(0, 4))[0].all()


def test_a_place_that_cannot_be_written_to_harms_nobody(tmp_path: Path) -> None:
    (tmp_path / "features").write_text("no folder")
    with Keeper(shelf(tmp_path)) as keeper:
        keeper.add(items(0, 4), features(items(0, 4)))
    assert not recalled(shelf(tmp_path), items(0, 4))[0].any()


def test_what_was_computed_for_a_data_set_can_be_forgotten(tmp_path: Path) -> None:
    for data_set, start in (("sha256:a", 0), ("sha256:b", 4)):
        one = shelf(tmp_path, data_set=data_set)
        one.store(items(start, 4), features(items(start, 4)))
    for folder in folders.of(tmp_path, "sha256:a"):
        shutil.rmtree(folder)
    assert recalled(shelf(tmp_path), items(0, 8))[0].tolist() == [False] * 4 + [True] * 4
