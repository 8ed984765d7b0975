"""The private Valkey: reachable by its owner alone, keeps what it was given, never fights another."""

import os
import signal
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from celery import Celery
from redis import Redis
from redis.exceptions import AuthenticationError

from app.queue import broker_answers
from finetuned.broker import Broker, socket_path
from finetuned.child import Child
from finetuned.failure import UpError
from tests.finetuned.waiting import until


def _broker(data_dir: Path) -> Broker:
    return Broker(data_dir, dict(os.environ), data_dir / "logs")


@contextmanager
def _running(data_dir: Path) -> Iterator[tuple[Broker, Child]]:
    broker = _broker(data_dir)
    child = _to_start(broker)
    child.start()
    broker.close()
    try:
        until(broker.answers, "\n".join(child.last_lines()))
        yield broker, child
    finally:
        child.terminate()
        child.wait()


def _to_start(broker: Broker) -> Child:
    """A server that is ending may still answer at first."""
    found: list[Child] = []

    def absent() -> bool:
        child = broker.child()
        found.extend([child] if child else [])
        return child is not None

    until(absent, "no server answers")
    return found[0]


def _redis(broker: Broker) -> "Redis":
    return Redis.from_url(broker.url.replace("redis+socket", "unix"), decode_responses=True)


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A folder whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="ft-") as folder:
        yield Path(folder)


def test_socket_and_its_folder_are_private(data_dir: Path) -> None:
    with _running(data_dir) as (broker, _child):
        assert stat.S_IMODE(broker.socket.stat().st_mode) == 0o700
        assert stat.S_IMODE(broker.socket.parent.stat().st_mode) == 0o700


def test_nobody_gets_in_without_the_password(data_dir: Path) -> None:
    with _running(data_dir) as (broker, _child), Redis(unix_socket_path=str(broker.socket)) as stranger:
        with pytest.raises(AuthenticationError):
            stranger.ping()
        with pytest.raises(AuthenticationError), Redis(unix_socket_path=str(broker.socket), password="") as guessing:
            guessing.llen("training")


def test_the_password_is_told_on_no_command_line_and_in_no_file_that_others_read(data_dir: Path) -> None:
    with _running(data_dir) as (broker, child):
        password = broker.url.split(":")[2].partition("@")[0]
        assert len(password) > 40
        lines = [process.cmdline() for process in psutil.Process(child.pid).children(recursive=True)]
        lines.append(psutil.Process(child.pid).cmdline())
        assert password not in str(lines)
        files = [path for path in data_dir.rglob("*") if path.is_file() and password.encode() in path.read_bytes()]
        assert {(path.name, stat.S_IMODE(path.stat().st_mode)) for path in files} == {
            ("password", 0o600),
            ("server.conf", 0o600),
        }


def test_the_password_stays(data_dir: Path) -> None:
    assert _broker(data_dir).url == _broker(data_dir).url


def test_the_service_is_ready_by_the_url(data_dir: Path) -> None:
    with _running(data_dir) as (broker, _child):
        assert broker_answers(broker.url)


def test_server_listens_on_no_port_and_never_evicts(data_dir: Path) -> None:
    with _running(data_dir) as (broker, _child), _redis(broker) as client:
        settings = client.config_get("port", "maxmemory-policy", "appendonly", "appendfsync")

    assert settings == {"port": "0", "maxmemory-policy": "noeviction", "appendonly": "yes", "appendfsync": "everysec"}


def test_what_was_written_is_there_after_a_restart(data_dir: Path) -> None:
    with _running(data_dir) as (broker, _child), _redis(broker) as client:
        client.set("kept", "yes")

    with _running(data_dir) as (broker, _child), _redis(broker) as client:
        assert client.get("kept") == "yes"


def test_server_that_answers_is_used(data_dir: Path) -> None:
    with _running(data_dir):
        assert _broker(data_dir).child() is None


def test_server_that_was_killed_is_replaced(data_dir: Path) -> None:
    with _running(data_dir) as (_first, child):
        child.kill()

        with _running(data_dir) as (broker, _second):
            assert broker.answers()


def test_folder_of_a_server_that_neither_answers_nor_ends_is_left_alone(data_dir: Path) -> None:
    """An ending server removes the socket at its very end: it must not be its successor's."""
    with _running(data_dir) as (_first, child):
        assert child.pid is not None
        os.kill(child.pid, signal.SIGSTOP)
        try:
            with pytest.raises(UpError, match="does not answer"):
                Broker(data_dir, dict(os.environ), data_dir / "logs", patience=0.5).child()
        finally:
            os.kill(child.pid, signal.SIGCONT)


def test_celery_reads_the_url(data_dir: Path) -> None:
    with _running(data_dir) as (broker, _child), _redis(broker) as client:
        Celery(broker=broker.url, set_as_current=False).send_task("ring", queue="bell", retry=False, ignore_result=True)

        assert client.llen("bell") == 1


@pytest.mark.parametrize("name", ["x" * 100, "a b", "müßig", "per%cent"])
def test_path_that_no_socket_or_url_can_hold_gets_a_stable_short_one(data_dir: Path, name: str) -> None:
    awkward = data_dir / name
    awkward.mkdir()
    with _running(awkward) as (broker, _child):
        assert broker.socket.is_socket()
        assert broker.socket.parent.parent == Path(tempfile.gettempdir())
        assert stat.S_IMODE(broker.socket.parent.stat().st_mode) == 0o700
        assert socket_path(awkward) == broker.socket
    broker.socket.parent.rmdir()


def test_folder_that_others_can_enter_is_refused(data_dir: Path) -> None:
    (data_dir / "run").mkdir()
    (data_dir / "run").chmod(0o755)

    with pytest.raises(UpError, match="only you can enter"):
        _broker(data_dir)


def test_link_in_place_of_the_folder_is_refused(data_dir: Path) -> None:
    target = data_dir / "elsewhere"
    target.mkdir(mode=0o700)
    (data_dir / "run").symlink_to(target)

    with pytest.raises(UpError, match="only you can enter"):
        _broker(data_dir)
