"""What can be told of the containers without an engine: the files' form, and that they ask for nothing dangerous."""

import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

_ROOT: Final = Path(__file__).parents[2]
_COMPOSE: Final[dict[str, Any]] = yaml.safe_load((_ROOT / "docker-compose.yml").read_text("utf-8"))
_SERVICES: Final[dict[str, dict[str, Any]]] = _COMPOSE["services"]
_DOCKERFILE: Final = (_ROOT / "docker" / "Dockerfile").read_text("utf-8")
_ROOTS: Final = {"root", "0", "0:0"}

every_service = pytest.mark.parametrize("service", _SERVICES.values(), ids=_SERVICES.keys())


def _stages() -> dict[str, list[str]]:
    """The instructions of every stage of the Dockerfile, with the lines that they go on in."""
    lines = [line for line in _DOCKERFILE.splitlines() if line and not line.startswith("#")]
    instructions = re.split(r"\n(?=[A-Z]+ )", "\n".join(lines))
    stages: dict[str, list[str]] = {}
    for instruction in instructions:
        if instruction.startswith("FROM "):
            stages[instruction.split(" AS ")[1]] = []
        list(stages.values())[-1].append(instruction)
    return stages


@every_service
def test_no_container_has_root_or_a_way_to_it(service: dict[str, Any]) -> None:
    assert service["user"] not in _ROOTS
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.keys() & {"cap_add", "privileged", "devices", "pid", "ipc", "network_mode", "userns_mode"}


@every_service
def test_a_container_writes_to_its_named_volume_and_to_memory_alone(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert all(place.startswith(("/tmp:", "/var/run/")) for place in service["tmpfs"])  # noqa: S108 - its own
    volumes = [volume.partition(":")[0] for volume in service["volumes"]]
    assert set(volumes) <= _COMPOSE["volumes"].keys()


@every_service
def test_nothing_is_published_beyond_this_machine(service: dict[str, Any]) -> None:
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_database_and_broker_are_reached_by_ours_alone() -> None:
    assert _COMPOSE["networks"]["inside"] == {"internal": True}
    for name in ("postgres", "redis"):
        assert _SERVICES[name]["networks"] == ["inside"]
        assert "ports" not in _SERVICES[name]


def test_every_secret_has_to_be_given() -> None:
    text = (_ROOT / "docker-compose.yml").read_text("utf-8")
    named = re.findall(r"(?<!\$)\$\{(\w*(?:PASSWORD|KEY))([^}]*)}", text)
    assert {name for name, _ in named} == {"POSTGRES_PASSWORD", "VALKEY_PASSWORD", "FINETUNED_API_KEY"}
    assert all(form.startswith(":?") for _, form in named)


@pytest.mark.parametrize("file", ["docker-compose.yml", "docker-compose.gpu.yml", "docker-compose.s3.yml"])
def test_a_service_that_is_named_is_there(file: str) -> None:
    services = yaml.safe_load((_ROOT / file).read_text("utf-8"))["services"]
    needed = {name for service in services.values() for name in service.get("depends_on", ())}
    assert needed | services.keys() <= _SERVICES.keys()


@pytest.mark.parametrize("target", ["api", "worker"])
def test_an_image_starts_its_part_as_a_user_that_a_number_tells(target: str) -> None:
    stages = _stages()
    started = [*stages["base"], *stages[target]]
    users = [line.split()[1] for line in started if line.startswith("USER ")]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1])
    assert users[-1] == _SERVICES[target]["user"]
    assert any(line.startswith("HEALTHCHECK ") for line in started)
    assert f'CMD ["finetuned", "{target}"]' in started


def test_images_are_built_from_named_versions_and_from_files_of_the_repository() -> None:
    stages = _stages()
    for instruction in (line for stage in stages.values() for line in stage):
        if instruction.startswith("FROM "):
            image = instruction.split()[1]
            assert image in stages or re.search(r":\d", image), image
        assert not instruction.startswith("ADD ")
        if instruction.startswith("COPY ") and "--from" not in instruction:
            *sources, _ = instruction.split()[1:]
            assert all((_ROOT / source).exists() for source in sources), instruction
    for service in _SERVICES.values():
        assert "build" in service or re.search(r":\d", service["image"])
