import json
import os
import time
from pathlib import Path

import pytest

from models_store import datasets, leases
from models_store.database.engine import Database
from models_store.settings import StoreSettings
from models_store.tidy import TRUNK_GRACE_SECONDS, tidy
from tests.models_store.rows import claimed, queued_job, ready_dataset
from tests.models_store.test_leases import publishing


@pytest.fixture
def settings(tmp_path: Path) -> StoreSettings:
    return StoreSettings(data_dir=tmp_path)


def bundle(settings: StoreSettings, model: str, job: str) -> Path:
    folder = settings.store_dir / "models" / model
    folder.mkdir(parents=True)
    (folder / "card.json").write_text(json.dumps({"job": job, "trunk": f"trunk-of-{model}"}))
    return folder


def trunk(settings: StoreSettings, name: str, age: float) -> Path:
    folder = settings.store_dir / "trunks" / name
    folder.mkdir(parents=True)
    then = time.time() - age
    os.utime(folder, (then, then))
    return folder


def test_scratch_of_an_ended_job_goes_and_that_of_a_running_one_stays(
    database: Database, settings: StoreSettings
) -> None:
    ended, running = queued_job(database), queued_job(database)
    leases.cancelled(database, claimed(database))
    claimed(database)
    for job in (ended, running):
        (settings.scratch_dir / job / "fence-1").mkdir(parents=True)
    assert tidy(database, settings) == [settings.scratch_dir / ended]
    assert (settings.scratch_dir / running / "fence-1").is_dir()
    assert not (settings.scratch_dir / ended).exists()


def test_a_bundle_stays_while_its_job_runs_and_once_it_is_published(
    database: Database, settings: StoreSettings
) -> None:
    job = queued_job(database)
    claim = claimed(database)
    folder = bundle(settings, f"mdl_{job}_1", job)
    assert tidy(database, settings) == []
    leases.succeed(database, claim, publishing(claim))
    assert tidy(database, settings) == []
    assert folder.is_dir()


def test_a_bundle_that_was_never_published_goes_when_its_job_has_ended(
    database: Database, settings: StoreSettings
) -> None:
    job = queued_job(database)
    folder = bundle(settings, "mdl_orphan", job)
    leases.cancelled(database, claimed(database))
    assert tidy(database, settings) == [folder]


def test_only_an_old_trunk_that_no_model_stands_on_goes(database: Database, settings: StoreSettings) -> None:
    queued_job(database)
    claim = claimed(database)
    leases.succeed(database, claim, publishing(claim))  # its model stands on the trunk "0"
    used = trunk(settings, "0", 2 * TRUNK_GRACE_SECONDS)
    fresh = trunk(settings, "1", 0)
    unused = trunk(settings, "2", 2 * TRUNK_GRACE_SECONDS)
    assert tidy(database, settings) == [unused]
    assert used.is_dir()
    assert fresh.is_dir()


def test_nothing_of_a_folder_that_the_database_does_not_know_is_touched(
    database: Database, settings: StoreSettings
) -> None:
    """As when the database's address is wrong, or an older backup of it was restored."""
    kept = [
        bundle(settings, "mdl_unknown", "job_unknown"),
        trunk(settings, "trunk-of-mdl_unknown", 2 * TRUNK_GRACE_SECONDS),
        settings.scratch_dir / "job_unknown",
    ]
    kept[2].mkdir(parents=True)
    assert tidy(database, settings) == []
    assert all(path.is_dir() for path in kept)


def test_while_a_bundle_cannot_be_read_no_trunk_goes(database: Database, settings: StoreSettings) -> None:
    (bundle(settings, "mdl_damaged", "job_x") / "card.json").write_text("{")
    trunk(settings, "2", 2 * TRUNK_GRACE_SECONDS)
    assert tidy(database, settings) == []


def test_cards_of_published_models_are_not_read(database: Database, settings: StoreSettings) -> None:
    """There may be very many, and the database knows what they stand on."""
    job = queued_job(database)
    claim = claimed(database)
    (bundle(settings, f"mdl_{job}_1", job) / "card.json").write_text("{")
    leases.succeed(database, claim, publishing(claim))  # its model stands on the trunk "0"
    used = trunk(settings, "0", 2 * TRUNK_GRACE_SECONDS)
    unused = trunk(settings, "2", 2 * TRUNK_GRACE_SECONDS)
    assert tidy(database, settings) == [unused]
    assert used.is_dir()


def test_features_of_a_deleted_data_set_go_and_those_of_others_stay(
    database: Database, settings: StoreSettings
) -> None:
    """Those that a late attempt has stored after the deletion too."""
    kept, gone = (settings.store_dir / "features" / "key" / name for name in ("aa", "bb"))
    ready_dataset(database, fingerprint="sha256:aa")
    deleted = ready_dataset(database, fingerprint="sha256:bb")
    for folder in (kept, gone):
        folder.mkdir(parents=True)
    datasets.delete(database, settings.store_dir, deleted, owner="ann")
    assert (kept.is_dir(), gone.is_dir()) == (True, False)
    gone.mkdir()
    assert tidy(database, settings) == [gone]
    assert (kept.is_dir(), gone.is_dir()) == (True, False)
