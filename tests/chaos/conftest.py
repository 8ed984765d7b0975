"""The chaos tests break installations of their own."""

import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import postgresql
from tests.chaos.proxy import Proxy
from tests.cluster import WANTED
from tests.e2e.cluster import cluster, s3_server
from tests.e2e.conftest import make_service
from tests.programs import missing

__all__ = ["broker_program", "cluster", "installation_database", "make_proxy", "make_service", "s3_server"]


@pytest.fixture(params=["redis"] if WANTED else ["valkey", pytest.param("redis", marks=pytest.mark.slow)])
def broker_program(request: pytest.FixtureRequest) -> str:
    """The embedded Valkey, and a real redis-server."""
    if request.param == "valkey":
        return ""
    program = shutil.which("redis-server")
    if program is None:
        missing("redis-server")
    return str(program)


@pytest.fixture(params=["postgresql"] if WANTED else ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def installation_database(request: pytest.FixtureRequest) -> str:
    """What ``make_service`` takes for an empty database of each kind."""
    if request.param == "sqlite":
        return ""
    server: postgresql.Server = request.getfixturevalue("postgresql_server")
    return server.create(f"chaos_{uuid.uuid4().hex}")


@pytest.fixture
def make_proxy() -> Iterator[Callable[[Path], Proxy]]:
    """Makes proxies in front of a unix socket that end with the test."""
    made: list[Proxy] = []

    def make(target: Path) -> Proxy:
        made.append(Proxy(target))
        return made[-1]

    yield make
    for proxy in made:
        proxy.close()
