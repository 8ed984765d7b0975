"""A job that waits for its export, on a database of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from models_store.database.engine import Database
from models_store.database.migrate import migrate
from tests.worker.training.exporting.ended import Job, started, trained
from worker.settings import WorkerSettings


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(WorkerSettings(data_dir=tmp_path).resolved_database_url)
    migrate(database)
    yield database
    database.close()


@pytest.fixture(params=[True, False], ids=["cached", "passed"])
def job(request: pytest.FixtureRequest, database: Database, tmp_path: Path) -> Job:
    return trained(started(database, tmp_path), cached=request.param)


@pytest.fixture
def frozen(database: Database, tmp_path: Path) -> Job:
    return trained(started(database, tmp_path), cached=True)
