import os
import signal
import socket
import subprocess
import sys
from io import FileIO
from pathlib import Path

import pytest

from app import uploads
from models_store.database.engine import Database
from models_store.database.migrate import migrate
from models_store.errors import UnavailableError
from tests.app.service import ADMIN_KEY, Running, until


@pytest.fixture
def empty(tmp_path: Path) -> Database:
    database = Database(f"sqlite:///{tmp_path / 'db'}")
    migrate(database)
    return database


def test_a_full_disk_is_told_as_such(tmp_path: Path) -> None:
    with FileIO("/dev/full", "wb") as full, pytest.raises(UnavailableError) as refused:
        uploads.Upload(tmp_path / "x", full).write(b"x")
    assert refused.value.code == "no_space"


def test_a_file_goes_away_unless_it_is_kept(tmp_path: Path) -> None:
    with uploads.opened(tmp_path) as upload:
        upload.write(b"abc")
    assert list(tmp_path.iterdir()) == []
    with uploads.opened(tmp_path) as upload:
        upload.write(b"abc")
        upload.keep()
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"abc"]


def test_what_is_being_received_is_no_leftover(tmp_path: Path, empty: Database) -> None:
    folder = tmp_path / "uploads"
    with uploads.opened(folder) as upload:
        uploads.remove_leftovers(empty, folder)
        assert upload.path.exists()
        upload.keep()
    uploads.remove_leftovers(empty, folder)
    assert not upload.path.exists()


def test_an_upload_that_its_client_leaves_is_removed(service: Running) -> None:
    head = f"POST /datasets HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_KEY}\r\nContent-Length: 1000000\r\n"
    folder = service.settings.uploads_dir
    with socket.create_connection(service.address) as raw:
        raw.sendall(f"{head}Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n".encode())
        until(lambda: list(folder.iterdir()))
    until(lambda: not list(folder.iterdir()))


def test_a_killed_process_leaves_a_file_that_the_next_start_removes(tmp_path: Path, empty: Database) -> None:
    folder = tmp_path / "uploads"
    program = (
        "import pathlib, sys, time\n"
        "from app import uploads\n"
        "with uploads.opened(pathlib.Path(sys.argv[1])):\n"
        "    print('receiving', flush=True)\n"
        "    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", program, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"receiving\n"
        uploads.remove_leftovers(empty, folder)
        assert len(list(folder.iterdir())) == 1, "its process lives"
        process.send_signal(signal.SIGKILL)
    uploads.remove_leftovers(empty, folder)
    assert list(folder.iterdir()) == []
