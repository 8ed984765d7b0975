"""Trainings on machines that share a store and no folder."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from models_store import jobs, leases
from models_store.database.engine import Database
from models_store.database.migrate import migrate
from models_store.errors import StorageUnavailableError
from tests.cluster import free_port
from tests.models_store.rows import claimed, queued_job
from tests.worker.training.test_resume import Cut, train
from worker import attempt as attempts
from worker.attempt import Attempt
from worker.child import run_to_end
from worker.settings import WorkerSettings
from worker.training.checkpointing import newest_intact

Machine = Callable[..., Attempt]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """Makes attempts at one job on machines with folders of their own."""
    database = Database(f"sqlite:///{tmp_path / 'shared.db'}")
    migrate(database)
    queued_job(database)
    claim = claimed(database)

    def make(name: str, interval: float = -1.0, **more: str) -> Attempt:
        named = {"storage_url": f"file://{tmp_path / 'bucket'}", **more}
        settings = WorkerSettings.model_validate(
            {"data_dir": tmp_path / name, "checkpoint_interval_seconds": interval, **named}
        )
        directory = settings.scratch_dir / claim.job_id / "fence-1"
        directory.mkdir(parents=True)
        return Attempt(database, settings, claim, directory)

    yield make
    database.close()


def lost(attempt: Attempt) -> None:
    """Its machine, with all that lay there."""
    shutil.rmtree(attempt.settings.data_dir)


def history(attempt: Attempt) -> str:
    with attempt.database.read() as session:
        return str([event.data for event in jobs.events(session, attempt.claim.job_id)[0]])


def test_another_machine_goes_on_from_the_checkpoint_and_ends_with_the_same_weights(machine: Machine) -> None:
    expected = train(machine("alone", storage_url=""))
    one, other = machine("one"), machine("other")
    leases.save_checkpoint(one.database, one.claim, {"kept": []})
    with pytest.raises(Cut):
        train(one, cut_after=8)
    lost(one)
    found = newest_intact(other)
    assert found is not None
    assert found["step"] == 7, "the one of the eighth step was not written any more"
    assert Path(found["path"]).is_relative_to(other.settings.data_dir.resolve())
    resumed = train(other)
    assert all(torch.equal(resumed[name], expected[name]) for name in expected)


def test_the_store_keeps_as_many_checkpoints_as_the_machine(machine: Machine, tmp_path: Path) -> None:
    one = machine("one")
    train(one)
    kept = {path.name for path in one.directory.iterdir() if path.is_file()}
    assert {path.name for path in (tmp_path / "bucket").rglob("*") if path.is_file()} == kept


def test_a_checkpoint_that_is_damaged_in_the_store_is_passed_over_for_the_one_before(
    machine: Machine, tmp_path: Path
) -> None:
    one, other = machine("one"), machine("other")
    train(one)
    newest, before = (one.row().checkpoint or {})["kept"]
    (sent,) = (tmp_path / "bucket").rglob(Path(newest["path"]).name)
    sent.write_bytes(sent.read_bytes()[:-1] + b"?")
    lost(one)
    found = newest_intact(other)
    assert found is not None
    assert found["sha256"] == before["sha256"]
    assert "damaged" in history(other)


def test_a_training_goes_on_while_the_store_does_not_answer_and_says_so(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "STORAGE_SECONDS", 0.1)
    nowhere = {"storage_url": "s3://bucket", "storage_endpoint": f"http://127.0.0.1:{free_port()}"}
    keys = {"storage_access_key_id": "key", "storage_secret_access_key": "secret"}
    one = machine("one", interval=3600.0, **nowhere, **keys)
    train(one)
    assert newest_intact(one) is not None
    assert history(one).count("on this machine alone") == 1, "the first file that did not go stands for all"


def test_an_attempt_that_needs_a_store_that_does_not_answer_is_given_back_and_not_counted(machine: Machine) -> None:
    one = machine("one")

    def run(_attempt: Attempt) -> None:
        raise StorageUnavailableError

    run_to_end(one, run)
    row = one.row()
    assert (row.state, row.attempt, row.barren) == ("queued", 0, 0)
    assert "storage_unavailable" in history(one)
    assert row.claimed_at is not None, "its owner has had this turn, or would be next for ever"
