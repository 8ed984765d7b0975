"""What the images and the compose file start and ask, without an engine: the same commands with the same variables."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import yaml

from tests import postgresql
from tests.e2e.conftest import make_service
from tests.e2e.service import ROOT, Service, until
from tests.programs import missing

__all__ = ["make_service"]
_DOCKERFILE: Final = (ROOT / "docker" / "Dockerfile").read_text("utf-8")
_SERVICES: Final[dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
_BIN: Final = Path(sys.executable).parent


def stage(name: str) -> str:
    """The instructions of an image alone."""
    return re.split(r"^FROM ", _DOCKERFILE.partition(f" AS {name}\n")[2], flags=re.MULTILINE)[0]


def command(name: str) -> list[str]:
    """What an image starts, as the virtual environment has it."""
    started: list[str] = json.loads(re.findall(r"^CMD (\[.+])$", stage(name), re.MULTILINE)[0])
    return [str(_BIN / started[0]), *started[1:]]


def healthy(name: str, service: Service) -> bool:
    """What an image's health check says of this installation."""
    asked: list[str] = json.loads(re.findall(r"HEALTHCHECK [^\[]*?CMD (\[.+])$", stage(name), re.MULTILINE)[0])
    places = {"127.0.0.1:8000": service.url.removeprefix("http://"), "/opt/finetuned/": f"{ROOT}/docker/"}
    for inside, outside in places.items():
        asked = [word.replace(inside, outside) for word in asked]
    done = subprocess.run([sys.executable, *asked[1:]], env=service.env, capture_output=True, timeout=30, check=False)
    return done.returncode == 0


def test_the_images_commands_start_their_parts_and_their_health_checks_tell_when_they_are_gone(
    make_service: Callable[..., Service], postgresql_server: postgresql.Server
) -> None:
    service = make_service(database_url=postgresql_server.create("compose"), FINETUNED_STANDBY="false")
    service.start_broker()
    migrate = _SERVICES["migrate"]["command"]
    service.migrate([str(_BIN / migrate[0]), *migrate[1:]])
    assert not healthy("api", service)
    assert not healthy("worker", service)
    service.start_api(command("api"))
    service.start_worker(command=command("worker"))
    until(lambda: healthy("api", service) and healthy("worker", service), 60, "both are healthy")
    assert service.end("worker") == 0
    assert not healthy("worker", service)
    service.end("api")
    assert not healthy("api", service)


def test_the_broker_starts_as_compose_has_it_and_its_health_check_asks_with_the_password(tmp_path: Path) -> None:
    """With a redis-server in the place of Valkey's, which has the same options; on a socket in the place of a port."""
    if shutil.which("redis-server") is None or shutil.which("redis-cli") is None:
        missing("redis-server")
    redis = _SERVICES["redis"]
    script = redis["command"][-1].replace("$$", "$").replace("valkey-server", "redis-server")
    socket = tmp_path / "s"
    check = redis["healthcheck"]["test"][-1].replace("$$", "$").replace("valkey-cli", f"redis-cli -s {socket}")
    environment = {**os.environ, "VALKEY_PASSWORD": "secret7"}
    started = [*redis["command"][:-1], f"{script} --port 0 --unixsocket {socket} --dir {tmp_path}"]

    def asked(**other: str) -> bool:
        return subprocess.run(["sh", "-c", check], env=environment | other, check=False, timeout=10).returncode == 0

    with subprocess.Popen(started, env=environment, stdout=subprocess.DEVNULL) as server:
        try:
            until(asked, 10, "the broker is healthy")
            assert not asked(VALKEY_PASSWORD="another")
            assert (tmp_path / "appendonlydir").is_dir()
        finally:
            server.terminate()
