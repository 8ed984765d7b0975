"""Copies of a shared store on a machine that was not told of a deletion, and what the killed have left in the store."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from models_store import adopting, copies, datasets, jobs, registry
from models_store.database.engine import Database
from models_store.reporting import stored
from models_store.settings import StoreSettings
from models_store.storage import Storage, Take, leftovers, opened
from tests.models_store.rows import new_dataset, queued_job, ready_dataset

CANARY = "a-name-that-only-this-item-has"
FOLDERS_OF_A_JOB = (jobs.tensorboard_directory, jobs.scratch_directory)
REPORT = {"accuracy": 0.9, "mistakes": [{"item": CANARY}], "splits": {}}


@dataclass(frozen=True)
class Machine:
    settings: StoreSettings
    storage: Storage

    @property
    def store_dir(self) -> Path:
        return self.settings.store_dir

    def stored(self, name: str, file: str = "content", content: bytes = b"x") -> Path:
        """A folder that this machine has given to the store."""
        folder = self.store_dir / name
        folder.mkdir(parents=True)
        (folder / file).write_bytes(content)
        self.storage.push(folder)
        return folder

    def read(self, name: str) -> Path:
        """A folder that this machine has read lately."""
        with self.storage.using(self.store_dir / name):
            return self.store_dir / name


@pytest.fixture
def machine(tmp_path: Path) -> Callable[[str], Machine]:
    def make(name: str) -> Machine:
        settings = StoreSettings(data_dir=tmp_path / name, storage_url=f"file://{tmp_path / 'bucket'}")
        return Machine(settings, opened(settings))

    return make


def published(database: Database, dataset: str) -> None:
    with database.write() as session:
        registry.publish(session, registry.NewModel("mdl_1", "ann", "m", "job_1", dataset, "t", "b", "0", {}, 1))


def test_copies_go_of_what_was_deleted_from_another_machine_and_those_in_use_a_little_later(
    machine: Callable[[str], Machine], database: Database
) -> None:
    one, other = machine("one"), machine("other")
    kept, gone = (ready_dataset(database, fingerprint=f"sha256:{name}") for name in ("aa", "bb"))
    for name in ("aa", "bb"):
        one.stored(f"datasets/{name}")
        other.read(f"datasets/{name}")
    datasets.delete(database, one.store_dir, gone, owner="ann", storage=one.storage)
    with other.storage.using(other.store_dir / "datasets" / "bb"):
        copies.forget(database, other.storage)
        assert (other.store_dir / "datasets" / "bb").is_dir()
    copies.forget(database, other.storage)
    assert not (other.store_dir / "datasets" / "bb").exists()
    assert (other.store_dir / "datasets" / "aa").is_dir()
    datasets.delete(database, one.store_dir, kept, owner="ann", storage=one.storage)
    copies.forget(database, other.storage)
    assert not (other.store_dir / "datasets" / "aa").exists()


def test_a_report_loses_its_items_in_the_store_and_in_every_copy_when_their_data_set_goes(
    machine: Callable[[str], Machine], database: Database, tmp_path: Path
) -> None:
    one, other, third = machine("one"), machine("other"), machine("third")
    dataset = ready_dataset(database)
    published(database, dataset)
    one.stored("models/mdl_1", "report.json", json.dumps(REPORT).encode())
    other.read("models/mdl_1")
    datasets.delete(database, third.store_dir, dataset, owner="ann", storage=third.storage)
    assert stored.read(machine("fourth").read("models/mdl_1"))["mistakes"] == []
    for here in (one, other):
        copies.forget(database, here.storage)
    found = [path for path in tmp_path.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]
    assert found == []


def test_what_no_row_needs_goes_from_the_store_once_it_is_old(
    machine: Callable[[str], Machine], database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one, other = machine("one"), machine("other")
    dataset = ready_dataset(database, fingerprint="sha256:aa")
    published(database, dataset)  # it stands on the trunk "0"
    new_dataset(database)  # its upload is called u.csv
    job = queued_job(database)
    needed = ("datasets/aa", "models/mdl_1", "trunks/0", "weights/0a")
    for name in (*needed, "datasets/bb", "models/mdl_2", "trunks/1", "checkpoints/ckpt_1"):
        one.stored(name)
    files = [
        one.settings.data_dir / name
        for name in ("uploads/u.csv", f"scratch/{job}/fence-1/a.ckpt", "uploads/lost", "scratch/job_0/fence-1/a.ckpt")
    ]
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
        one.storage.push_file(path)
    copies.tidy(database, other.store_dir, other.storage)
    assert len(in_the_store(tmp_path)) == 8 + 4, "what is new may be named in a moment"
    monkeypatch.setattr(leftovers, "STALE_SECONDS", -60.0)
    monkeypatch.setattr(leftovers, "CUT_OFF_SECONDS", -60.0)
    copies.tidy(database, other.store_dir, other.storage)
    assert in_the_store(tmp_path) == {*needed, "uploads/u.csv", f"scratch/{job}"}


def in_the_store(tmp_path: Path) -> set[str]:
    paths = (path.relative_to(tmp_path / "bucket") for path in (tmp_path / "bucket").rglob("*") if path.is_file())
    return {"/".join(path.parts[:2]) for path in paths}


def test_weights_that_were_taken_out_of_the_mirror_go_from_every_machine(
    machine: Callable[[str], Machine], database: Database
) -> None:
    one, other = machine("one"), machine("other")
    folder = one.stored("weights/0a")
    other.read("weights/0a")
    copies.forget(database, other.storage)
    assert (other.store_dir / "weights" / "0a").is_dir()
    with one.storage.removal() as take:
        take(folder)
    copies.forget(database, other.storage)
    assert not (other.store_dir / "weights" / "0a").exists()


def test_what_jobs_wrote_here_goes_once_they_were_deleted_from_another_machine(
    machine: Callable[[str], Machine], database: Database
) -> None:
    here, job = machine("one"), queued_job(database)
    folders = [of(here.store_dir, job_id) for of in FOLDERS_OF_A_JOB for job_id in (job, "job_deleted")]
    beside = here.settings.scratch_dir / "lost+found"
    for folder in [*folders, beside]:
        (folder / "fence-1").mkdir(parents=True)
    copies.tidy(database, here.store_dir, here.storage)
    assert [folder.is_dir() for folder in folders] == [True, False, True, False]
    assert beside.is_dir()


def test_with_a_local_store_nothing_is_a_copy(database: Database, tmp_path: Path) -> None:
    settings = StoreSettings(data_dir=tmp_path)
    folder = settings.store_dir / "datasets" / "aa"
    folder.mkdir(parents=True)
    copies.tidy(database, settings.store_dir, opened(settings))
    assert folder.is_dir()


def test_a_data_folder_that_was_alone_is_given_to_the_store_and_twice_changes_nothing(
    machine: Callable[[str], Machine], database: Database, tmp_path: Path
) -> None:
    one = machine("one")
    dataset = ready_dataset(database, fingerprint="sha256:aa")
    published(database, dataset)
    new_dataset(database)
    for name in ("datasets/aa", "models/mdl_1", "trunks/0", "trunks/0/openvino", "weights/0a", "models/mdl_of_nobody"):
        (one.store_dir / name).mkdir(parents=True)
        (one.store_dir / name / "content").write_bytes(b"x")
    one.settings.uploads_dir.mkdir()
    (one.settings.uploads_dir / "u.csv").write_bytes(b"x")
    assert adopting.adopt(database, one.settings, one.storage) == 6
    assert in_the_store(tmp_path) == {"datasets/aa", "models/mdl_1", "trunks/0", "weights/0a", "uploads/u.csv"}
    before = set((tmp_path / "bucket").rglob("*"))
    assert adopting.adopt(database, one.settings, one.storage) == 6
    assert set((tmp_path / "bucket").rglob("*")) == before
    assert (machine("other").read("trunks/0/openvino") / "content").read_bytes() == b"x"


def test_what_a_row_names_at_the_last_moment_stays(
    machine: Callable[[str], Machine], database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one = machine("one")
    one.stored("models/mdl_1")
    monkeypatch.setattr(leftovers, "STALE_SECONDS", -60.0)
    remove = one.storage.removal

    def after_a_job_has_ended() -> AbstractContextManager[Take]:
        published(database, "ds_none")
        return remove()

    monkeypatch.setattr(one.storage, "removal", after_a_job_has_ended)
    copies.tidy(database, one.store_dir, one.storage)
    assert in_the_store(tmp_path) == {"models/mdl_1"}
