"""What every store does, the one in the data folder as those that machines share."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.models_store.storage.conftest import Machine

Make = Callable[[str], Machine]


def content_of(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".stored")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def read(machine: Machine, name: str) -> dict[str, bytes]:
    """What a machine finds under ``store/NAME``."""
    folder = machine.store_dir / name
    with machine.storage.using(folder):
        return content_of(folder)


def test_a_pushed_folder_is_read_on_another_machine_byte_for_byte(machine: Make) -> None:
    one, other = machine("one"), machine("other")
    files = {"content.bin": bytes(range(256)) * 5000, "empty": b"", "tokenizer/vocabulary.txt": "말\n".encode()}
    folder = one.folder("datasets/abc", **{name.replace("/", "__"): content for name, content in files.items()})
    one.storage.push(folder)
    assert other.storage.there(other.store_dir / "datasets" / "abc")
    assert read(other, "datasets/abc") == files


def test_what_is_nowhere_is_no_error_until_it_is_read(machine: Make) -> None:
    one = machine("one")
    folder = one.store_dir / "models" / "mdl_1"
    with one.storage.using(folder):
        assert not folder.exists()
    one.storage.hold(folder)
    assert not one.storage.there(folder)
    with pytest.raises(FileNotFoundError):
        one.storage.fetch_file(one.settings.uploads_dir / "up_1", one.settings.uploads_dir / "new", "0" * 64).stat()


def test_a_small_file_is_read_alone(machine: Make) -> None:
    one, other = machine("one"), machine("other")
    one.storage.push(one.folder("weights/0a", entry=b"{}", files__large=b"x" * 1000))
    folder = other.store_dir / "weights" / "0a"
    assert other.storage.peek(folder, "entry") == b"{}"
    assert other.storage.peek(folder, "files/large") == b"x" * 1000
    assert other.storage.peek(folder, "files/other") is None
    assert other.storage.peek(other.store_dir / "weights" / "0b", "entry") is None
    assert not other.storage.shared or not folder.exists(), "the folder itself did not come"


def test_what_a_process_holds_can_be_taken_away_by_it(machine: Make) -> None:
    one = machine("one")
    folder = one.folder("weights/0a", entry=b"{}")
    one.storage.push(folder)
    one.storage.hold(folder)
    with one.storage.removal() as take:
        take(folder)
    assert not folder.exists()


def test_what_is_taken_away_is_gone_for_everybody(machine: Make) -> None:
    one, other = machine("one"), machine("other")
    for name in ("models/mdl_1", "models/mdl_2"):
        one.storage.push(one.folder(name, card=b"{}"))
    with one.storage.removal() as take:
        take(one.store_dir / "models" / "mdl_1")
    assert not one.storage.there(one.store_dir / "models" / "mdl_1")
    assert not (one.store_dir / "models" / "mdl_1").exists()
    assert read(other, "models/mdl_1") == {}
    assert read(other, "models/mdl_2") == {"card": b"{}"}


def test_a_removal_that_fails_takes_nothing_away(machine: Make) -> None:
    one, other = machine("one"), machine("other")
    one.storage.push(one.folder("models/mdl_1", card=b"{}"))
    with pytest.raises(KeyError), one.storage.removal() as take:
        take(one.store_dir / "models" / "mdl_1")
        assert not one.storage.there(one.store_dir / "models" / "mdl_1")
        raise KeyError
    assert one.storage.there(one.store_dir / "models" / "mdl_1")
    assert read(one, "models/mdl_1") == read(other, "models/mdl_1") == {"card": b"{}"}


def test_a_trunk_and_its_graph_come_one_after_the_other_and_go_together(machine: Make) -> None:
    one, other = machine("one"), machine("other")
    trunk = one.folder("trunks/0a", tensors=b"t")
    one.storage.push(trunk)
    graph = one.folder("trunks/0a/openvino", model=b"g")
    one.storage.push(graph)
    there = other.store_dir / "trunks" / "0a"
    with other.storage.using(there, there / "openvino"):
        assert content_of(there) == {"tensors": b"t", "openvino/model": b"g"}
    with one.storage.removal() as take:
        take(trunk)
    assert not one.storage.there(trunk)
    assert not one.storage.there(graph)


def test_a_file_outside_the_store_goes_to_another_machine_and_away(machine: Make) -> None:
    one, other = machine("one"), machine("other")
    path = one.settings.uploads_dir / "up_1"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"text,label\n")
    one.storage.push_file(path)
    sha256 = hashlib.sha256(b"text,label\n").hexdigest()
    wanted = other.settings.uploads_dir / "up_1"
    assert other.storage.fetch_file(wanted, other.settings.data_dir / "copy", sha256).read_bytes() == b"text,label\n"
    other.storage.drop_files(wanted)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        other.storage.fetch_file(wanted, other.settings.data_dir / "again", sha256).stat()


def test_the_newest_form_of_a_folder_that_was_replaced_is_found(machine: Make) -> None:
    one, other = machine("one"), machine("other")
    folder = one.folder("models/mdl_1", report=b"old")
    one.storage.push(folder)
    (folder / "report").write_bytes(b"new")
    one.storage.push(folder, anew=True)
    assert read(other, "models/mdl_1") == {"report": b"new"}
