"""A store that is elsewhere: what may go wrong on the way, and what is left of it."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from models_store.errors import StorageUnavailableError, UnavailableError
from models_store.settings import StoreSettings
from models_store.storage import leftovers, opened, trash
from models_store.storage.shared import SharedStorage
from tests import s3
from tests.cluster import free_port
from tests.e2e.service import ROOT
from tests.models_store.storage.conftest import Machine, Shared
from tests.models_store.storage.test_contract import read


def bucket_of(machine: Machine) -> SharedStorage:
    assert isinstance(machine.storage, SharedStorage)
    return machine.storage


def everything_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "STALE_SECONDS", -60.0)
    monkeypatch.setattr(leftovers, "CUT_OFF_SECONDS", -60.0)


def test_nothing_is_left_in_the_store_of_what_was_taken_away(shared: Shared) -> None:
    one = shared.machine("one")
    one.storage.push(one.folder("trunks/0a", tensors=b"t"))
    one.storage.push(one.folder("trunks/0a/openvino", model=b"g"))
    scratch = one.settings.scratch_dir / "job_1" / "fence-1"
    scratch.mkdir(parents=True)
    for name in ("a.ckpt", "b.ckpt"):
        (scratch / name).write_bytes(b"c")
        one.storage.push_file(scratch / name)
    assert len(shared.objects()) == 6
    with one.storage.removal() as take:
        take(one.store_dir / "trunks" / "0a")
        take(one.settings.scratch_dir / "job_1")
    assert shared.objects() == []


def test_a_replaced_folder_leaves_no_object(shared: Shared) -> None:
    one = shared.machine("one")
    folder = one.folder("models/mdl_1", report=b"old")
    one.storage.push(folder)
    before = shared.objects()
    one.storage.push(folder, anew=True)
    assert len(shared.objects()) == len(before) == 2
    assert shared.objects() != before


def test_a_second_machine_with_the_same_folder_sends_nothing(shared: Shared) -> None:
    one, other = shared.machine("one"), shared.machine("other")
    one.storage.push(one.folder("trunks/0a", tensors=b"t"))
    before = shared.objects()
    other.storage.push(other.folder("trunks/0a", tensors=b"t"))
    assert shared.objects() == before


def test_a_graph_that_was_made_anew_takes_the_place_of_the_old_one(shared: Shared) -> None:
    one, other = shared.machine("one"), shared.machine("other")
    one.storage.push(one.folder("trunks/0a", tensors=b"t"))
    one.storage.push(one.folder("trunks/0a/openvino", model=b"old"))
    newer = other.folder("trunks/0a/openvino", model=b"new")
    other.storage.push(newer)
    other.storage.push(newer)
    assert read(shared.machine("third"), "trunks/0a/openvino") == {"model": b"new"}
    assert len(shared.objects()) == 4


def test_a_large_object_goes_in_parts_and_comes_whole(s3_server: s3.Server, tmp_path: Path) -> None:
    moves: list[None] = []
    storage = opened(s3_server.settings(tmp_path, "large"), moved=lambda: moves.append(None))
    path = tmp_path / "uploads" / "up_1"
    path.parent.mkdir()
    content = os.urandom(40_000_000)
    path.write_bytes(content)
    storage.push_file(path)
    assert s3_server.parts("large/uploads/up_1") == 3
    path.unlink()
    copy = storage.fetch_file(path, path, hashlib.sha256(content).hexdigest())
    assert copy.read_bytes() == content
    assert len(moves) == 3 + 5


_MEMORY = """
import resource, sys
from pathlib import Path
from models_store.settings import StoreSettings
from models_store.storage import opened
path, sha256 = Path(sys.argv[1]), sys.argv[2]
storage = opened(StoreSettings())
storage.there(path.parent / "store" / "datasets" / "0")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
storage.push_file(path)
storage.fetch_file(path, path.with_name("copy"), sha256)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.slow
def test_a_large_object_passes_through_little_memory(s3_server: s3.Server, tmp_path: Path) -> None:
    path = tmp_path / "uploads" / "up_1"
    path.parent.mkdir()
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for _ in range(64):
            chunk = os.urandom(10_000_000)
            digest.update(chunk)
            file.write(chunk)
    env = {**os.environ, **s3_server.env("memory"), "FINETUNED_DATA_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", _MEMORY, str(path), digest.hexdigest()]
    taken = subprocess.run(command, env=env, capture_output=True, check=True, text=True, timeout=250).stdout
    assert int(taken) < 250, "megabytes, of 640"


def test_bytes_that_are_not_those_that_were_stored_never_reach_the_store_folder(shared: Shared) -> None:
    one, other = shared.machine("one"), shared.machine("other")
    one.storage.push(one.folder("datasets/abc", content=b"what was stored"))
    (key,) = (key for key in shared.objects() if key.endswith("/content"))
    shared.replace(key, b"what was damaged")
    folder = other.store_dir / "datasets" / "abc"
    with pytest.raises(UnavailableError) as refused, other.storage.using(folder):
        pass
    assert refused.value.code == "storage_damaged"
    assert not folder.exists()
    assert list(folder.parent.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"{}", b'{"token": "1", "files": {"../../x": {"sha256": "", "size": 1}}}'])
def test_a_manifest_that_cannot_be_is_refused(shared: Shared, content: bytes) -> None:
    one, other = shared.machine("one"), shared.machine("other")
    one.storage.push(one.folder("datasets/abc", content=b"x"))
    shared.replace("datasets/abc/manifest.json", content)
    with pytest.raises(UnavailableError) as refused:
        read(other, "datasets/abc")
    assert refused.value.code == "storage_damaged"


def test_a_store_that_does_not_answer_is_told_and_what_is_here_is_read(s3_server: s3.Server, tmp_path: Path) -> None:
    settings = s3_server.settings(tmp_path, "outage")
    one = Machine(settings, opened(settings))
    one.storage.push(one.folder("datasets/abc", content=b"x"))
    gone = settings.model_copy(update={"storage_endpoint": f"http://127.0.0.1:{free_port()}"})
    cut_off = Machine(gone, opened(gone, patience=0.2))
    assert read(cut_off, "datasets/abc") == {"content": b"x"}
    unsent = cut_off.folder("datasets/new", content=b"y")
    for call in (
        lambda: read(cut_off, "datasets/other"),
        lambda: cut_off.storage.push(unsent),
        lambda: cut_off.storage.there(unsent),
        lambda: cut_off.storage.settle(lambda _: True),
    ):
        with pytest.raises(StorageUnavailableError):
            call()
    with pytest.raises(StorageUnavailableError), cut_off.storage.removal() as take:
        take(one.store_dir / "datasets" / "abc")
    one.storage.push(unsent)
    assert read(one, "datasets/abc") == {"content": b"x"}
    assert read(shared_machine(s3_server, tmp_path / "other"), "datasets/new") == {"content": b"y"}


def shared_machine(server: s3.Server, data_dir: Path) -> Machine:
    settings = server.settings(data_dir, "outage")
    return Machine(settings, opened(settings))


def test_what_the_store_says_is_logged_without_credentials(s3_server: s3.Server, tmp_path: Path) -> None:
    settings = s3_server.settings(tmp_path, "x").model_copy(update={"storage_url": f"s3://{s3.SECRET}/x"})
    with capture_logs() as logs, pytest.raises(StorageUnavailableError):
        opened(settings, patience=0.2).settle(lambda _: True)
    (entry,) = (entry for entry in logs if entry["event"] == "storage_failed")
    assert "…" in entry["reason"]
    assert s3.SECRET not in str(logs)


def test_settings_that_name_no_store_are_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="s3://BUCKET/PREFIX"):
        StoreSettings(storage_url="gs://bucket")


def test_credentials_do_not_show_in_the_settings(s3_server: s3.Server, tmp_path: Path) -> None:
    assert s3.SECRET not in repr(s3_server.settings(tmp_path, "x"))


def test_a_deletion_that_was_cut_off_is_undone_where_a_row_still_needs_the_folder(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = shared.machine("one")
    one.storage.push(one.folder("datasets/abc", content=b"x"))
    before = shared.objects()
    trash.hide(bucket_of(one).bucket, "datasets/abc", [])
    assert shared.objects() != before
    one.storage.settle(lambda _: True)
    assert shared.objects() != before, "it may still be under way"
    everything_is_old(monkeypatch)
    one.storage.settle(lambda path: path == one.store_dir / "datasets" / "abc")
    assert shared.objects() == before


def test_a_deletion_that_was_cut_off_is_ended_where_no_row_needs_the_folder(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = shared.machine("one")
    one.storage.push(one.folder("datasets/abc", content=b"x"))
    trash.hide(bucket_of(one).bucket, "datasets/abc", [])
    everything_is_old(monkeypatch)
    one.storage.settle(lambda _: False)
    assert shared.objects() == []


@pytest.mark.parametrize("needed", [True, False])
def test_a_deletion_that_was_cut_off_between_copy_and_deletion_of_its_manifest_is_settled(
    needed: bool, shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = shared.machine("one")
    one.storage.push(one.folder("datasets/abc", content=b"x"))
    before = shared.objects()
    bucket = bucket_of(one).bucket
    bucket.put("trash/0/datasets/abc/manifest.json", bucket.get("datasets/abc/manifest.json") or b"")
    everything_is_old(monkeypatch)
    one.storage.settle(lambda _: needed)
    assert shared.objects() == (before if needed else [])


def test_what_is_stored_again_while_it_is_deleted_stays(shared: Shared) -> None:
    one, other = shared.machine("one"), shared.machine("other")
    one.storage.push(one.folder("datasets/abc", content=b"x"))
    again = other.folder("datasets/abc", content=b"x")
    with one.storage.removal() as take:
        take(one.store_dir / "datasets" / "abc")
        other.storage.push(again)
    assert read(shared.machine("third"), "datasets/abc") == {"content": b"x"}
    assert len(shared.objects()) == 2


def test_files_of_a_writing_that_was_cut_off_go_and_those_of_a_folder_stay(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = shared.machine("one")
    one.storage.push(one.folder("datasets/abc", content=b"x"))
    before = shared.objects()
    bucket = bucket_of(one).bucket
    for name in ("abc", "other"):
        bucket.put(f"datasets/{name}/1700000000-{'0' * 16}/content", b"half")
    one.storage.settle(lambda _: True)
    assert len(shared.objects()) == len(before) + 2, "somebody may still be writing"
    everything_is_old(monkeypatch)
    assert one.storage.settle(lambda _: True) == [one.store_dir / "datasets" / "abc"]
    assert shared.objects() == before
