"""The real processes, each of which a test can start, kill and find: broker, API, worker and their children."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import psutil
from redis import Redis
from redis.exceptions import RedisError

from models_store import copies, storage
from models_store.database.engine import Database
from models_store.settings import StoreSettings
from tests import cluster
from tests.cluster import free_port

KEY = "ft_key-of-the-tests"
ROOT = Path(__file__).parents[2]


def until(condition: Callable[[], Any], seconds: float, what: str, every: float = 0.1) -> Any:
    """Wait for a true value; fail with ``what`` and the last value when it does not come in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what} (last: {value!r})")
        time.sleep(every)


class Service:
    """One installation in one folder."""

    def __init__(self, folder: Path, *, broker: str = "", database_url: str = "", **env: str) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.socket = folder / "broker.sock"
        self._foundation = on = cluster.foundation(self.socket, broker=broker, database_url=database_url)
        self.database_url = (on.database_url or f"sqlite:///{self.data_dir / 'finetuned.db'}").replace(
            "postgresql://", "postgresql+psycopg://"
        )
        self.url = f"http://127.0.0.1:{free_port()}"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "plugins")]),
            "FINETUNED_DATA_DIR": str(self.data_dir),
            "FINETUNED_DATABASE_URL": on.database_url,
            "FINETUNED_REDIS_URL": on.broker_url,
            "FINETUNED_API_KEY": KEY,
            "FINETUNED_HOST": "127.0.0.1",
            "FINETUNED_PORT": self.url.rpartition(":")[2],
            "OMP_WAIT_POLICY": "PASSIVE",
            # No hub and no cache of the machine's user: what a test needs it puts into the mirror.
            "TORCH_HOME": str(folder / "torch"),
            "HF_HOME": str(folder / "huggingface"),
            "HF_HUB_OFFLINE": "1",
            "HTTPS_PROXY": "http://127.0.0.1:9",
            **on.settings,
            **env,
        }
        self.client = httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=60)

    # -- processes ---------------------------------------------------------------------------------------------------

    def start(self) -> "Service":
        """Start all parts and wait until they are ready."""
        self.start_broker()
        self.migrate()
        self.start_api()
        self.start_worker()
        until(lambda: self._status("/readyz") == 200, 60, "the service is ready")
        return self

    def migrate(self, command: Sequence[str] = (sys.executable, "-m", "models_store.database.migrate")) -> None:
        """Make the tables."""
        subprocess.run(command, env=self.env, check=True, timeout=60)

    def start_broker(self) -> None:
        """Start the broker on its socket, with what it stored before."""
        options = ["--unixsocket", str(self.socket), "--appendonly", "yes", "--dir", str(self.folder), "--save", ""]
        command = [self._foundation.broker, *options, *self._foundation.broker_options]
        self._start("broker", [*command, "--maxmemory-policy", "noeviction"])
        until(self._broker_answers, 10, "the broker answers")

    def start_api(self, command: Sequence[str] = (sys.executable, "-m", "app")) -> None:
        """Start the API and wait until it answers."""
        self._start("api", command)
        until(lambda: self._status("/healthz") == 200, 60, "the API answers")

    def start_worker(
        self,
        name: str = "worker",
        mounts: Sequence[str] = (),
        command: Sequence[str] = (sys.executable, "-m", "worker"),
    ) -> None:
        """Start a worker; several names give several workers.

        ``mounts`` are shell commands that change the worker's own view of the file system; see ``inside()``.
        """
        script = " && ".join([*mounts, 'exec "$0" "$@"'])
        inside = ["unshare", "--map-root-user", "--mount", "sh", "-c", script] if mounts else []
        self._start(name, [*inside, *command])

    def inside(self, path: Path) -> Path:
        """A path as the worker sees it."""
        return Path(f"/proc/{self.pid('worker')}/root{path}")

    def pid(self, part: str) -> int:
        """The process id of a started part."""
        return self._processes[part].pid

    def send(self, part: str, sig: signal.Signals) -> None:
        """Send a signal to one part's own process."""
        self._processes[part].send_signal(sig)

    def end(self, part: str, sig: signal.Signals = signal.SIGTERM, seconds: float = 40) -> int:
        """Send a signal and wait for the end; gives the exit code."""
        process = self._processes.pop(part)
        process.send_signal(sig)
        return process.wait(seconds)

    def kill_tree(self, part: str) -> None:
        """Kill -9 a part and everything below it at one moment."""
        process = self._processes.pop(part)
        family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
        for member in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        process.wait(10)

    def children(self, module: str) -> list[psutil.Process]:
        """Live processes of this installation that run ``python -m MODULE``."""
        return [process for process in self._family() if module in _command(process)]

    def job_processes(self) -> list[psutil.Process]:
        """The children that do the work of a job now, whether they were started for it or stood by."""
        prepared = self.children("worker.standby")
        return self.children("worker.child") + [one for one in prepared if _name(one) == "finetuned-job"]

    def ready_standby(self, seconds: float = 120) -> psutil.Process:
        """Wait for a process that has imported what a training needs, and has no job yet."""

        def ready() -> psutil.Process | None:
            said = [line["pid"] for line in self.log("worker") if line["event"] == "standby_ready"]
            idle = [one for one in self.children("worker.standby") if _name(one) == "finetuned-idle"]
            return next((one for one in idle if one.pid in said), None)

        standby: psutil.Process = until(ready, seconds, "a standby is ready")
        return standby

    def log(self, part: str) -> list[dict[str, Any]]:
        """What a part has logged: the lines that are records."""
        lines = (self.folder / f"{part}.log").read_text(errors="replace").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def stop(self) -> None:
        """End everything that was started here."""
        for part in [name for name in self._processes if name != "broker"]:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.end(part)
        for part in list(self._processes):
            self.kill_tree(part)
        self.client.close()

    def redis(self) -> "Redis":
        """A client of the broker."""
        return Redis(unix_socket_path=str(self.socket), password=self._foundation.password, socket_timeout=5)

    # -- what a user does --------------------------------------------------------------------------------------------

    def upload(self, name: str, content: bytes, *, wait: float = 60, **fields: str) -> dict[str, Any]:
        """POST a data set and wait until it is imported."""
        files = {"file": (name, content)}
        answer = self.client.post("/datasets", files=files, data={"name": name, **fields})
        assert answer.status_code in {201, 202}, answer.text
        return self.wait(f"/datasets/{answer.json()['id']}", {"ready", "failed"}, wait)

    def uploads(self) -> list[str]:
        """The files that were received, wherever this installation stores them."""
        if cluster.WANTED:
            return cluster.stored(self.env["FINETUNED_STORAGE_URL"], "uploads/")
        return [path.name for path in (self.data_dir / "uploads").iterdir()]

    def forget_copies(self) -> None:
        """Do what each machine with a shared store does every ten minutes: copies go that could not at a deletion."""
        names = {name.removeprefix("FINETUNED_").lower(): value for name, value in self.env.items()}
        settings = StoreSettings.model_validate(
            {name: names[name] for name in names.keys() & StoreSettings.model_fields}
        )
        database = Database(self.database_url)
        copies.forget(database, storage.opened(settings))
        database.close()

    def post_job(self, dataset: str, backbone: str, **body: Any) -> str:
        """POST a job; gives its id."""
        answer = self.client.post("/jobs", json={"dataset": dataset, "backbone": backbone, **body})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        """The job as the API shows it."""
        shown: dict[str, Any] = self.client.get(f"/jobs/{job_id}").json()
        return shown

    def finished(self, job_id: str, seconds: float = 120) -> dict[str, Any]:
        """Wait for a job's end."""
        return self.wait(f"/jobs/{job_id}", {"succeeded", "failed", "cancelled"}, seconds)

    def wait(self, path: str, states: set[str], seconds: float) -> dict[str, Any]:
        """Wait until an object's status is one of some."""

        def reached() -> dict[str, Any] | None:
            shown: dict[str, Any] = self.client.get(path).json()
            return shown if shown["status"] in states else None

        result: dict[str, Any] = until(reached, seconds, f"{path} is {' or '.join(sorted(states))}")
        return result

    def events(self, job_id: str) -> list[dict[str, Any]]:
        """Every event of a job, oldest first."""
        events: list[dict[str, Any]] = []
        while True:
            after = {"after": events[-1]["id"]} if events else {}
            page = self.client.get(f"/jobs/{job_id}/events", params={"limit": 100, **after}).json()
            events += page["data"]
            if not page["has_more"]:
                return events

    # -- inside ------------------------------------------------------------------------------------------------------

    def _start(self, name: str, command: Sequence[str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                command, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def _status(self, path: str) -> int:
        try:
            return self.client.get(path, timeout=5).status_code
        except httpx.TransportError:
            return 0

    def _broker_answers(self) -> bool:
        try:
            with self.redis() as redis:
                return bool(redis.ping())
        except RedisError:
            return False

    def _family(self) -> Iterator[psutil.Process]:
        mine = str(self.data_dir)
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                if process.environ().get("FINETUNED_DATA_DIR") == mine and process.status() != psutil.STATUS_ZOMBIE:
                    yield process


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return ""


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []
