"""Machines that share a store of each kind."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from models_store.settings import StoreSettings
from models_store.storage import Storage, opened
from tests import s3


@dataclass(frozen=True)
class Machine:
    """A data folder, and the store as it is seen from there."""

    settings: StoreSettings
    storage: Storage

    @property
    def store_dir(self) -> Path:
        return self.settings.store_dir

    def folder(self, name: str, **files: bytes) -> Path:
        """Make ``store/NAME`` with these files; ``__`` in a name is a folder."""
        folder = self.store_dir / name
        for file, content in files.items():
            path = folder / file.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder


@dataclass(frozen=True)
class Shared:
    """A store that is elsewhere; what tests do to it behind the service's back."""

    machine: Callable[..., Machine]
    objects: Callable[[], list[str]]
    replace: Callable[[str, bytes], None]


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.Server]:
    with s3.running(tmp_path_factory.mktemp("s3") / "moto.log") as server:
        yield server


@pytest.fixture(params=["folder", "s3"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Shared:
    """A store of each kind that machines share."""
    if request.param == "folder":
        return _folder(tmp_path)
    server: s3.Server = request.getfixturevalue("s3_server")
    prefix = f"test-{uuid.uuid4().hex}"

    def machine(name: str, **more: int) -> Machine:
        return _machine(server.settings(tmp_path / name, prefix, **more))

    def keys() -> list[str]:
        return sorted(key.removeprefix(f"{prefix}/") for key in server.keys(prefix))

    def replace(key: str, content: bytes) -> None:
        server.replace(f"{prefix}/{key}", content)

    return Shared(machine, keys, replace)


@pytest.fixture(params=["local", "folder", "s3"])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Machine]:
    """Makes machines of one installation; with a local store all are the same one."""
    if request.param == "local":
        return lambda _name: _machine(StoreSettings(data_dir=tmp_path / "data"))
    if request.param == "folder":
        return _folder(tmp_path).machine
    server: s3.Server = request.getfixturevalue("s3_server")
    prefix = f"test-{uuid.uuid4().hex}"
    return lambda name: _machine(server.settings(tmp_path / name, prefix))


def _folder(tmp_path: Path) -> Shared:
    bucket = tmp_path / "bucket"

    def machine(name: str, **more: int) -> Machine:
        settings = {"data_dir": tmp_path / name, "storage_url": f"file://{bucket}", **more}
        return _machine(StoreSettings.model_validate(settings))

    def keys() -> list[str]:
        return sorted(path.relative_to(bucket).as_posix() for path in bucket.rglob("*") if path.is_file())

    def replace(key: str, content: bytes) -> None:
        (bucket / key).write_bytes(content)

    return Shared(machine, keys, replace)


def _machine(settings: StoreSettings) -> Machine:
    return Machine(settings, opened(settings, patience=5.0))
