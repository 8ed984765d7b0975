import hashlib
import os
import pickle
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_store.errors import NotFoundError, UnavailableError
from models_store.itemset import SPLITS, ItemSet, ItemSetWriter

FINGERPRINT = "sha256:7d4df86e22122048e7f2601aac6f3a388b06e6a7def7b33856506fd90ca27336"
Entry = tuple[str, str, str, bytes]
ENTRIES: list[Entry] = [
    ("a/1", "ants", "train", b"one"),
    ("a/2", "ants", "train", b""),
    ("b/1", "bees\n\u2028", "train", b"three"),
    ("v/1", "ants", "validation", b"four"),
    ("v/2", "bees\n\u2028", "validation", bytes(range(256))),
    ("t/1", "ants", "test", b"six"),
]


def write(folder: Path, entries: list[Entry]) -> str:
    folder.mkdir(parents=True)
    with ItemSetWriter(folder) as writer:
        for entry in entries:
            writer.add(*entry)
        return writer.finish()


@pytest.fixture
def itemset(tmp_path: Path) -> Iterator[ItemSet]:
    write(tmp_path / "set", ENTRIES)
    with ItemSet(tmp_path / "set") as opened:
        yield opened


def test_items_come_back_as_written(itemset: ItemSet) -> None:
    items = list(itemset.items())
    assert [(i.name, i.label, i.split, itemset.content(i)) for i in items] == ENTRIES
    assert [i.id for i in items] == ["0", "1", "2", "3", "4", "5"]
    assert [i.sha256 for i in items] == [hashlib.sha256(content).hexdigest() for *_rest, content in ENTRIES]
    assert len(itemset) == 6


@pytest.mark.parametrize(
    ("split", "label", "after", "limit", "ids"),
    [
        ("validation", None, None, None, "34"),
        (None, "ants", None, None, "0135"),
        ("train", "ants", None, None, "01"),
        (None, None, "3", None, "45"),
        (None, None, None, 2, "01"),
        (None, "ants", "0", 2, "13"),
        (None, None, "5", 3, ""),
        ("nowhere", None, None, None, ""),
        (None, None, None, 0, ""),
    ],
)
def test_items_are_filtered_and_paged(
    itemset: ItemSet, split: str | None, label: str | None, after: str | None, limit: int | None, ids: str
) -> None:
    assert "".join(item.id for item in itemset.items(split, label, after, limit)) == ids


def test_one_item_is_found_by_its_id(itemset: ItemSet) -> None:
    assert [itemset.item(item.id) for item in itemset.items()] == list(itemset.items())


@pytest.mark.parametrize("item_id", ["6", "-1", "", "01", "1.0", "x", "../0", "9" * 5000, "\u0661"])
def test_other_ids_are_not_found(itemset: ItemSet, item_id: str) -> None:
    with pytest.raises(NotFoundError, match="no item"):
        itemset.item(item_id)
    with pytest.raises(NotFoundError, match="no item"):
        list(itemset.items(after=item_id))


def test_labels_are_sorted_and_named_once(itemset: ItemSet) -> None:
    assert itemset.labels == ["ants", "bees\n\u2028"]


def test_threads_read_the_right_bytes(itemset: ItemSet) -> None:
    items = list(itemset.items()) * 200
    with ThreadPoolExecutor(8) as pool:
        contents = list(pool.map(itemset.content, items))
    assert contents == [content for *_rest, content in ENTRIES] * 200


def test_a_forked_process_reads_the_right_bytes(itemset: ItemSet) -> None:
    child = os.fork()
    if child == 0:
        right = [itemset.content(item) for item in itemset.items()] == [content for *_rest, content in ENTRIES]
        os._exit(0 if right else 1)
    _pid, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_a_pickled_set_opens_its_files_anew(itemset: ItemSet) -> None:
    copy = pickle.loads(pickle.dumps(itemset))  # noqa: S301 - our own
    itemset.close()
    assert [copy.content(item) for item in copy.items()] == [content for *_rest, content in ENTRIES]


def test_closing_twice_is_harmless_and_gives_the_file_back(itemset: ItemSet) -> None:
    item = itemset.item("0")
    itemset.close()
    itemset.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        itemset.content(item)


def test_a_set_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError) as caught:
        ItemSet(tmp_path / "nowhere")
    assert caught.value.code == "dataset_files_missing"


def test_content_that_was_cut_off_is_told(itemset: ItemSet) -> None:
    os.truncate(itemset.directory / "content.bin", 10)
    with pytest.raises(UnavailableError) as caught:
        itemset.content(itemset.item("4"))
    assert caught.value.code == "dataset_damaged"


def test_items_out_of_order_are_refused(tmp_path: Path) -> None:
    with ItemSetWriter(tmp_path) as writer:
        writer.add("b", "x", "train", b"")
        for name, label, split in [("a", "x", "train"), ("b", "x", "train"), ("c", "a", "train")]:
            with pytest.raises(ValueError, match="comes after"):
                writer.add(name, label, split, b"")
        writer.add("a", "a", "validation", b"")


def test_the_fingerprint_is_the_same_in_every_version(tmp_path: Path) -> None:
    assert write(tmp_path / "set", ENTRIES) == FINGERPRINT


def test_the_same_items_give_the_same_files(tmp_path: Path) -> None:
    assert write(tmp_path / "one", ENTRIES) == write(tmp_path / "two", ENTRIES)
    for name in ("content.bin", "manifest.jsonl"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@given(
    st.integers(0, len(ENTRIES) - 1), st.sampled_from(["name", "label", "split", "content"]), st.text("xyz", min_size=1)
)
def test_any_difference_gives_another_fingerprint(
    tmp_path_factory: pytest.TempPathFactory, index: int, field: str, value: str
) -> None:
    name, label, split, content = ENTRIES[index]
    changed = {
        "name": (value, label, split, content),
        "label": (name, value, split, content),
        "split": (name, label, SPLITS[(SPLITS.index(split) + 1) % 3], content),
        "content": (name, label, split, content + value.encode()),
    }[field]
    entries = sorted([*ENTRIES[:index], changed, *ENTRIES[index + 1 :]], key=lambda e: (SPLITS.index(e[2]), e[1], e[0]))
    assert write(tmp_path_factory.mktemp("set") / "items", entries) != FINGERPRINT


def test_iterating_over_many_items_needs_little_memory(tmp_path: Path) -> None:
    write(tmp_path / "set", [(f"{number:06}", "label", "train", b"x") for number in range(50_000)])
    with ItemSet(tmp_path / "set") as itemset:
        tracemalloc.start()
        assert sum(1 for _item in itemset.items()) == 50_000
        assert itemset.item("49999").name == "049999"
        _now, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 2_000_000


def test_the_items_of_a_class_lie_together(tmp_path: Path) -> None:
    examples = [(split, label, f"{n}") for split in ("train", "test") for label in ("a", "ab", "b") for n in range(3)]
    with ItemSetWriter(tmp_path) as writer:
        for split, label, name in examples:
            writer.add(name, label, split, b"x")
        writer.finish()
    with ItemSet(tmp_path) as itemset:
        for split in SPLITS:
            for label in ("a", "ab", "b", "", "aa", "c"):
                found = [itemset.item(str(number)) for number in itemset.run(split, label)]
                assert found == list(itemset.items(split, label)), (split, label)
