"""One ``finetuned up`` a data folder."""

import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from finetuned.failure import UpError
from finetuned.lock import DataDirLock, holder, stop_holder

_URL = "http://127.0.0.1:8123"
_HOLD = """
import sys, time
from pathlib import Path
from finetuned.lock import DataDirLock
with DataDirLock(Path(sys.argv[1]), "http://127.0.0.1:8123"):
    print("held", flush=True)
    time.sleep(600)
"""


@contextmanager
def _held_elsewhere(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", _HOLD, str(data_dir)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process, process.stdout:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_second_holder_is_told_who_runs_where(tmp_path: Path) -> None:
    with _held_elsewhere(tmp_path) as process, pytest.raises(UpError) as refused, DataDirLock(tmp_path, "http://other"):
        pass

    assert f"process {process.pid} on {socket.gethostname()}, {_URL}" in str(refused.value)


def test_lock_of_a_killed_holder_is_free_and_known_to_be_left_behind(tmp_path: Path) -> None:
    with _held_elsewhere(tmp_path) as process:
        process.kill()
        process.wait()

        with DataDirLock(tmp_path, _URL) as lock:
            assert lock.left_behind


def test_lock_that_was_released_is_not_left_behind(tmp_path: Path) -> None:
    with DataDirLock(tmp_path, _URL):
        pass

    with DataDirLock(tmp_path, _URL) as lock:
        assert not lock.left_behind


def test_folder_is_made_private(tmp_path: Path) -> None:
    with DataDirLock(tmp_path / "new" / "data", _URL):
        assert stat.S_IMODE((tmp_path / "new" / "data").stat().st_mode) == 0o700


def test_holder_is_stopped_by_its_data_folder(tmp_path: Path) -> None:
    with _held_elsewhere(tmp_path) as process:
        assert stop_holder(tmp_path, 10.0) == process.pid
        assert holder(tmp_path) is None


def test_nothing_to_stop_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UpError, match="Nothing runs"):
        stop_holder(tmp_path, 10.0)
