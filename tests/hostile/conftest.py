"""One running installation with low limits, which all attacks share; and two tenants of it."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.e2e.service import KEY, Service
from tests.hostile.belongings import Belongings, acquired
from tests.hostile.tenant import Tenant, tenant
from tests.hostile.wire import Wire

LIMITS = {
    "FINETUNED_MAX_UPLOAD_BYTES": "12000000",
    "FINETUNED_MAX_JSON_BYTES": "2000000",
    "FINETUNED_MAX_HEAD_BYTES": "32768",
    "FINETUNED_HEAD_SECONDS": "2",
    "FINETUNED_BODY_SILENCE_SECONDS": "1.5",
    "FINETUNED_BODY_GRACE_SECONDS": "1",
    "FINETUNED_MAX_ACTIVE_JOBS": "20",
    "FINETUNED_MAX_STARTS_PER_MINUTE": "0",
    "FINETUNED_MAX_WRONG_KEYS_PER_MINUTE": "0",
    "FINETUNED_STANDBY": "false",
}


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A running installation."""
    service = Service(tmp_path_factory.mktemp("hostile"), **LIMITS)
    try:
        yield service.start()
    finally:
        service.stop()


@pytest.fixture(scope="session")
def ann(service: Service) -> Iterator[Tenant]:
    """The victim."""
    with tenant(service, "ann") as made:
        yield made


@pytest.fixture(scope="session")
def bob(service: Service) -> Iterator[Tenant]:
    """The attacker: a user with a key of his own."""
    with tenant(service, "bob") as made:
        yield made


@pytest.fixture(scope="session")
def anns(service: Service, ann: Tenant) -> Belongings:
    """One of everything that a user can have."""
    return acquired(service, ann)


@pytest.fixture
def nobody(service: Service) -> Iterator[httpx.Client]:
    """A client without a key."""
    with httpx.Client(base_url=service.url, timeout=30) as client:
        yield client


@pytest.fixture(scope="session")
def wire(service: Service) -> Wire:
    """Bytes as they are, with an admin's key where one is asked for."""
    return Wire(int(service.url.rpartition(":")[2]), KEY)


def uploads(service: Service) -> set[Path]:
    """Files that were received, or are just being."""
    return set((service.data_dir / "uploads").iterdir())


def memory(service: Service) -> int:
    """Bytes that the API's process holds."""
    return int(psutil.Process(service.pid("api")).memory_info().rss)
