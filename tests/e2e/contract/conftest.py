"""A service of its own for schemathesis, which deletes and revokes what it finds."""

from collections.abc import Iterator

import pytest

from tests.e2e.contract import seeds
from tests.e2e.contract.running import Target
from tests.e2e.service import KEY, Service
from tests.hostile.tenant import tenant

_NO_BRAKES = {
    "FINETUNED_MAX_REQUESTS_PER_SECOND": "0",
    "FINETUNED_MAX_STARTS_PER_MINUTE": "0",
    "FINETUNED_MAX_WRONG_KEYS_PER_MINUTE": "0",
    "FINETUNED_STANDBY": "false",
}


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A running installation that refuses nobody for asking often."""
    service = Service(tmp_path_factory.mktemp("contract"), **_NO_BRAKES)
    try:
        yield service.start()
    finally:
        service.stop()


@pytest.fixture(scope="module")
def target(installation: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """What a run is aimed at: the service, one user's objects in it, and the keys of all."""
    folder = tmp_path_factory.mktemp("schemathesis")
    seeds.write_files(folder)
    with tenant(installation, "ann") as ann, tenant(installation, "bob") as bob:
        seeds.plant(ann, folder)
        yield Target(installation.url, {"admin": KEY, "ann": ann.key, "bob": bob.key}, folder)
