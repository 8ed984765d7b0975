"""What a data set leaves behind when it is deleted, in rows and in files, on both databases."""

import json
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from models_store import datasets, registry
from models_store.database.engine import Database
from models_store.database.tables import IdempotencyRow, JobRow
from models_store.errors import StorageUnavailableError
from models_store.idempotency import Repeat
from models_store.storage.local import LocalStorage
from tests.models_store.rows import job, queued_job, ready_dataset

CANARY = "a-name-that-only-this-item-has"
REPORT = {
    "accuracy": 0.9,
    "mistakes": [{"item": CANARY}],
    "splits": {"validation": {"accuracy": 0.9, "mistakes": [{"item": CANARY}]}},
}


def _content(store_dir: Path, fingerprint: str) -> list[Path]:
    """The folders of an item set, and of what was computed of it."""
    name = fingerprint.removeprefix("sha256:")
    folders = [
        store_dir / "datasets" / name,
        store_dir / "features" / "key-1" / name,
        store_dir / "features" / "key-2" / name,
        store_dir / "trunks" / "trunk" / "served" / name,
    ]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "rows").write_text(CANARY)
    return folders


def _model(database: Database, store_dir: Path, dataset: str) -> Path:
    """A model of this data set, with a report; gives its folder."""
    new = registry.NewModel("mdl_1", "ann", "m", "job_1", dataset, "t", "b", "0", {}, 1)
    with database.write() as session:
        registry.publish(session, new)
    folder = registry.directory(store_dir, "mdl_1")
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps(REPORT))
    return folder


def _delete(database: Database, store_dir: Path, dataset: str) -> None:
    datasets.delete(database, store_dir, dataset, owner="ann")


def test_the_content_goes_with_all_that_was_computed_of_it(database: Database, tmp_path: Path) -> None:
    folders = _content(tmp_path, "sha256:aa")
    _delete(database, tmp_path, ready_dataset(database, fingerprint="sha256:aa"))
    assert [folder.exists() for folder in folders] == [False] * 4
    assert [path for path in tmp_path.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()] == []


def test_content_that_another_data_set_has_as_well_stays_until_that_one_goes(
    database: Database, tmp_path: Path
) -> None:
    folders = _content(tmp_path, "sha256:aa")
    first, second = (ready_dataset(database, owner, "sha256:aa") for owner in ("ann", "bob"))
    _delete(database, tmp_path, first)
    assert [folder.exists() for folder in folders] == [True] * 4
    datasets.delete(database, tmp_path, second, owner="bob")
    assert [folder.exists() for folder in folders] == [False] * 4


def test_a_models_report_keeps_its_figures_and_forgets_the_items(database: Database, tmp_path: Path) -> None:
    dataset = ready_dataset(database)
    folder = _model(database, tmp_path, dataset)
    _delete(database, tmp_path, dataset)
    report = json.loads((folder / "report.json").read_text())
    assert CANARY not in str(report)
    assert (report["accuracy"], report["splits"]["validation"]["accuracy"]) == (0.9, 0.9)


class _FailsOnce(LocalStorage):
    """A store that is shared and does not answer the first time; ``sent`` is what it got of reports."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self._answers = False

    def push(self, folder: Path, *, final: Path | None = None, anew: bool = False) -> None:
        assert (final, anew) == (None, True)
        if not self._answers:
            self._answers = True
            raise StorageUnavailableError
        self.sent.append((folder / "report.json").read_text())


def test_a_deletion_that_the_store_has_not_heard_of_is_told_to_it_at_the_next_try(
    database: Database, tmp_path: Path
) -> None:
    dataset, storage = ready_dataset(database), _FailsOnce()
    _model(database, tmp_path, dataset)
    with pytest.raises(StorageUnavailableError):
        datasets.delete(database, tmp_path, dataset, owner="ann", storage=storage)
    datasets.delete(database, tmp_path, dataset, owner="ann", storage=storage)
    (report,) = storage.sent
    assert CANARY not in report


def test_the_report_of_an_evaluation_forgets_the_items_too(database: Database, tmp_path: Path) -> None:
    dataset = ready_dataset(database)
    evaluation, other = queued_job(database, dataset), queued_job(database)
    with database.write() as session:
        values = {"state": "succeeded", "kind": "evaluate", "result": {"report": REPORT}}
        session.execute(update(JobRow).where(JobRow.id.in_([evaluation, other])).values(values))
    _delete(database, tmp_path, dataset)
    kept = job(database, evaluation).result
    assert kept is not None
    assert CANARY not in str(kept)
    assert kept["report"]["accuracy"] == 0.9
    assert CANARY in str(job(database, other).result), "it is of another data set"


def test_its_import_goes_with_a_data_set_and_its_jobs_stay(database: Database, tmp_path: Path) -> None:
    dataset = ready_dataset(database)
    own = queued_job(database, dataset)
    with database.write() as session:
        session.execute(update(JobRow).where(JobRow.id == own).values(state="failed"))
    _delete(database, tmp_path, dataset)
    with database.read() as session:
        assert session.scalars(select(JobRow.id)).all() == [own]


def test_an_idempotency_key_that_stood_for_it_stands_for_nothing(database: Database, tmp_path: Path) -> None:
    options = {"filename": "x.csv", "task": None, "validation_fraction": 0.2, "seed": 0}
    new = datasets.NewDataset("ann", "words", options, upload="u.csv", upload_sha256="0" * 64, upload_bytes=10)
    row, work = datasets.create(database, new, Repeat(CANARY, "0" * 64))
    assert work is not None
    with database.write() as session:
        session.execute(update(JobRow).where(JobRow.id == work.id).values(state="failed"))
    _delete(database, tmp_path, row.id)
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(IdempotencyRow)) == 0
    again, _ = datasets.create(database, new, Repeat(CANARY, "0" * 64))
    assert again.id != row.id


def test_where_the_rows_cannot_go_the_files_stay(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = _content(tmp_path, "sha256:aa")
    dataset = ready_dataset(database, fingerprint="sha256:aa")

    def full(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("models_store.traces.stored.forget_items", full)
    _model(database, tmp_path, dataset)
    with pytest.raises(OSError, match="full"):
        _delete(database, tmp_path, dataset)
    assert [folder.exists() for folder in folders] == [True] * 4
    with database.read() as session:
        datasets.get(session, dataset, owner="ann")
