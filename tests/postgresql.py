"""A private PostgreSQL server for a test run: its own data folder, a unix socket, no TCP."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path


def bin_dir() -> Path | None:
    """Where initdb, pg_ctl and createdb lie, or None where PostgreSQL is not installed."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if installed:
        return installed[-1].parent
    return Path(on_path).parent if on_path else None


class Server:
    """A running server; ``restart()`` cuts every connection."""

    def __init__(self, programs: Path, folder: Path, user: str | None) -> None:
        self._programs, self._folder, self._user = programs, folder, user

    def url(self, database: str = "postgres") -> str:
        """SQLAlchemy URL of one database on it."""
        user = self._user or pwd.getpwuid(os.getuid()).pw_name
        return f"postgresql+psycopg://{user}@/{database}?host={self._folder}"

    def create(self, database: str) -> str:
        """Make an empty database; gives its URL."""
        self._run("createdb", "-h", str(self._folder), database)
        return self.url(database)

    def drop(self, database: str) -> None:
        """Delete a database, and end who is still connected to it."""
        self._run("dropdb", "-h", str(self._folder), "--force", database)

    def dump(self, database: str) -> Path:
        """What ``pg_dump`` makes of a database."""
        path = self._folder / f"{database}.sql"
        self._run("pg_dump", "-h", str(self._folder), "--file", str(path), database)
        return path

    def load(self, dump: Path, database: str) -> str:
        """Make a database of a dump; gives its URL."""
        url = self.create(database)
        stop = ["--set", "ON_ERROR_STOP=1", "--quiet"]
        self._run("psql", "-h", str(self._folder), *stop, "--file", str(dump), database)
        return url

    def start(self) -> None:
        """Start and wait until it answers."""
        options = f"-k {self._folder} -c listen_addresses='' -c fsync=off"
        data = str(self._folder / "data")
        self._run("pg_ctl", "-D", data, "-o", options, "-l", str(self._folder / "log"), "-w", "start")

    def stop(self) -> None:
        """Stop at once, as a crash would."""
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-m", "immediate", "-w", "stop")

    def initialise(self) -> None:
        """Make the data folder."""
        self._run("initdb", "-D", str(self._folder / "data"), "-A", "trust", "-E", "UTF8", "--no-sync")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        subprocess.run(command, check=True, user=self._user, stdout=subprocess.DEVNULL, cwd=self._folder, timeout=60)


@contextlib.contextmanager
def running(programs: Path) -> Iterator[Server]:
    """A fresh server, gone at the end. PostgreSQL refuses to run as root, so root runs it as ``postgres``."""
    user = "postgres" if os.getuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    if user is not None:
        shutil.chown(folder, user)
    server = Server(programs, folder, user)
    try:
        server.initialise()
        server.start()
        yield server
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)
