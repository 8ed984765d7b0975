"""One service with an image model and a text model, for all tests of a module."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from app.settings import AppSettings
from tests.app.published import IMAGES, TEXTS, publish
from tests.app.service import ADMIN_KEY, Running, running


@dataclass
class Served:
    """A service, a client of its admin, and two models."""

    service: Running
    client: httpx.Client
    images: str
    texts: str


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, broker_url: str) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("served")
    settings = AppSettings(data_dir=folder, redis_url=broker_url, api_key=SecretStr(ADMIN_KEY))
    with running(settings) as service, service.client() as client:
        yield Served(service, client, publish(service, kind=IMAGES), publish(service, kind=TEXTS))
