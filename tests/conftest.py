"""Fixtures that several rooms need: real databases."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from models_store.database.engine import Database
from models_store.database.migrate import migrate
from tests import cluster, postgresql
from tests.programs import missing


@pytest.fixture(scope="session", autouse=True)
def _cluster() -> Iterator[None]:
    """What installations have started of a cluster ends with the session."""
    yield
    cluster.close()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[postgresql.Server]:
    programs = postgresql.bin_dir()
    if programs is None:
        missing("PostgreSQL")
    with postgresql.running(programs) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'test.db'}"
        return
    server: postgresql.Server = request.getfixturevalue("postgresql_server")
    name = f"test_{uuid.uuid4().hex}"
    yield server.create(name)
    # Eight megabytes each: what hundreds of tests leave fills the disk of a small machine.
    server.drop(name)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A migrated database of each kind."""
    database = Database(database_url)
    migrate(database)
    yield database
    database.close()
