"""Random faults against a running installation, and a checker (row 34): ``python -m tests.chaos.nemesis --seed 1``.

A client keeps some imports and trainings in flight. The nemesis draws faults by seed. When time or the number of kills
is up, everything is started again, the work is left to end, and the checker looks at every row, event, model and file.
The exit code is 0 when nothing was lost, doubled or half-written.
"""

import argparse
import contextlib
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import httpx
import psutil
from sqlalchemy import select

from models_store import datasets, registry
from models_store.database.engine import Database
from models_store.database.tables import DatasetRow, EventRow, JobRow, ModelRow
from models_store.itemset import ItemSet
from models_store.jobs import TERMINAL
from tests.e2e import sets
from tests.e2e.service import Service, until

IN_FLIGHT: Final = 6
KILLS: Final = {"child", "pool", "worker"}


class Nemesis:
    """Does one fault at a time, and undoes what a supervisor outside would undo (restarts)."""

    def __init__(self, service: Service, chance: random.Random) -> None:
        self._service, self._chance = service, chance
        self.done: Counter[str] = Counter()
        self.faults: dict[str, Callable[[], bool]] = {
            "child": self.kill_child,
            "standby": self.kill_standby,
            "pool": self.kill_pool,
            "worker": self.kill_worker,
            "stop": self.stop_worker,
            "freeze": self.freeze_child,
            "api": self.kill_api,
            "broker": self.kill_broker,
            "wipe": self.wipe_broker,
        }

    def strike(self, names: list[str]) -> None:
        """Draw a fault and do it; one that finds nothing to break does not count."""
        name = self._chance.choice(names)
        if self.faults[name]():
            self.done[name] += 1

    def kill_child(self) -> bool:
        children = self._service.job_processes()
        return bool(children) and _kill(self._chance.choice(children))

    def kill_standby(self) -> bool:
        """Idle, or just being given a job."""
        standbys = self._service.children("worker.standby")
        return bool(standbys) and _kill(self._chance.choice(standbys))

    def kill_pool(self) -> bool:
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in self._service.job_processes():
                pool = child.parent()
                if pool is not None and pool.pid > 1:
                    return _kill(pool)
        return False

    def kill_worker(self) -> bool:
        self._service.kill_tree("worker")
        self._service.start_worker()
        return True

    def stop_worker(self) -> bool:
        self._service.end("worker", signal.SIGTERM)
        self._service.start_worker()
        return True

    def freeze_child(self) -> bool:
        """Past the lease, and then on again."""
        children = self._service.job_processes()
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in children[:1]:
                child.suspend()
                time.sleep(self._chance.uniform(1, 18))
                child.resume()
                return True
        return False

    def kill_api(self) -> bool:
        self._service.end("api", signal.SIGKILL)
        self._service.start_api()
        return True

    def kill_broker(self) -> bool:
        self._service.end("broker", signal.SIGKILL)
        time.sleep(self._chance.uniform(0, 3))
        self._service.start_broker()
        return True

    def wipe_broker(self) -> bool:
        with self._service.redis() as redis:
            redis.flushall()
        return True


class Client:
    """Posts work while the API lives, and remembers what was accepted."""

    def __init__(self, service: Service, chance: random.Random, dataset: str) -> None:
        self._service, self._chance, self._dataset = service, chance, dataset
        self.jobs: list[str] = []
        self.datasets: list[str] = []

    def keep_busy(self) -> None:
        """Bring the work in flight up to its level; sometimes cancel a piece of it."""
        try:
            active = [job for job in self.jobs[-IN_FLIGHT:] if self._service.job(job)["status"] not in TERMINAL]
            if active and self._chance.random() < 0.05:
                self._service.client.post(f"/jobs/{self._chance.choice(active)}/cancel")
            for _ in range(IN_FLIGHT - len(active)):
                self._post()
        except (httpx.TransportError, KeyError, json.JSONDecodeError):
            return  # the API is being killed; what it did not accept does not count

    def _post(self) -> None:
        number = len(self.jobs) + len(self.datasets)
        if self._chance.random() < 0.4:
            content = sets.sentence_csv(4 + number % 5)
            answer = self._service.client.post("/datasets", files={"file": ("s.csv", content)}, data={"name": "s"})
            if answer.status_code in {201, 202}:
                self.datasets.append(answer.json()["id"])
        training = {"max_epochs": self._chance.choice([1, 5, 50]), "batch_size": 4}
        strategy = self._chance.choice(["freeze", "full"])
        body = {"dataset": self._dataset, "backbone": "plugin/tiny", "strategy": strategy, "training": training}
        answer = self._service.client.post("/jobs", json=body)
        if answer.status_code == 202:
            self.jobs.append(answer.json()["id"])


def check(service: Service, client: Client) -> list[str]:
    """What the faults have broken; empty when every promise held."""
    database = Database(service.database_url)
    store = service.data_dir / "store"
    with database.read() as session:
        jobs = {row.id: row for row in session.scalars(select(JobRow))}
        models = list(session.scalars(select(ModelRow)))
        sets_ = {row.id: row for row in session.scalars(select(DatasetRow))}
        events = list(session.scalars(select(EventRow).where(EventRow.type == "status").order_by(EventRow.id)))
    database.close()
    wrong = [f"lost: {job}" for job in client.jobs if job not in jobs]
    wrong += [f"lost: {dataset}" for dataset in client.datasets if dataset not in sets_]
    wrong += [f"not ended: {row.id} {row.state}" for row in jobs.values() if row.state not in TERMINAL]
    wrong += [f"no reason: {row.id}" for row in jobs.values() if row.state == "failed" and not row.error]
    wrong += _ends(jobs, events)
    published = Counter(model.job_id for model in models)
    wrong += [f"{count} models: {job}" for job, count in published.items() if count != 1]
    succeeded = {row.id for row in jobs.values() if row.state == "succeeded" and row.kind == "fine_tune"}
    wrong += [f"model without success: {job}" for job in published.keys() - succeeded]
    wrong += [f"success without model: {job}" for job in succeeded - published.keys()]
    wrong += [f"half a model: {model.id}" for model in models if not _whole(registry.directory(store, model.id))]
    wrong += [problem for row in sets_.values() for problem in _dataset_problems(row, store)]
    return wrong


def _ends(jobs: dict[str, JobRow], events: list[EventRow]) -> list[str]:
    ends = Counter(event.job_id for event in events if event.data["status"] in TERMINAL)
    return [f"{ends[job]} ends: {job}" for job in jobs if ends[job] != 1]


def _whole(folder: Path) -> bool:
    return all((folder / name).is_file() for name in ("card.json", "head.safetensors"))


def _dataset_problems(row: DatasetRow, store: Path) -> list[str]:
    if row.status == "failed":
        return [] if row.error else [f"no reason: {row.id}"]
    if row.status != "ready" or row.fingerprint is None:
        return [f"data set {row.id} is {row.status}"]
    with ItemSet(datasets.directory(store, row.fingerprint)) as itemset:
        count = sum(1 for item in itemset.items() if itemset.content(item))
    return [] if count == sum(row.splits.values()) else [f"half a data set: {row.id}"]


def run(seed: int, seconds: float, kills: int, names: list[str]) -> dict[str, Any]:
    """One run in a folder of its own; gives the verdict."""
    chance = random.Random(seed)
    service = Service(Path(tempfile.mkdtemp(prefix="nemesis-")), FINETUNED_CHECKPOINT_INTERVAL_SECONDS="0.5")
    try:
        service.start()
        client = Client(service, chance, service.upload("pictures.zip", sets.picture_zip(8))["id"])
        nemesis = Nemesis(service, chance)
        started = time.monotonic()
        while time.monotonic() - started < seconds and sum(nemesis.done[name] for name in KILLS) < kills:
            client.keep_busy()
            time.sleep(chance.uniform(0.2, 2.5))
            nemesis.strike(names)
        attacked = time.monotonic() - started
        _settle(service)
        wrong = check(service, client)
        return {
            "seed": seed,
            "seconds": round(attacked),
            "faults": dict(nemesis.done),
            "jobs": len(client.jobs),
            "imports": len(client.datasets),
            "states": _states(service),
            "wrong": wrong,
        }
    finally:
        service.stop()
        shutil.rmtree(service.folder, ignore_errors=True)


def _settle(service: Service) -> None:
    """No more faults: all accepted work must end by itself."""

    def over() -> bool:
        database = Database(service.database_url)
        try:
            with database.read() as session:
                query = select(JobRow.id).where(JobRow.state.not_in(TERMINAL)).limit(1)
                return session.scalar(query) is None
        finally:
            database.close()

    until(over, 600, "all work has ended", every=1)


def _states(service: Service) -> dict[str, int]:
    database = Database(service.database_url)
    with database.read() as session:
        states = Counter(f"{row.kind} {row.state}" for row in session.scalars(select(JobRow)))
    database.close()
    return dict(states)


def _kill(process: psutil.Process) -> bool:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return False
    return True


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--kills", type=int, default=10**9, help="end after this many kills of child, pool or worker")
    parser.add_argument("--faults", default="child,standby,pool,worker,stop,freeze,api,broker,wipe")
    chosen = parser.parse_args()
    verdict = run(chosen.seed, chosen.minutes * 60, chosen.kills, chosen.faults.split(","))
    sys.stdout.write(json.dumps(verdict, indent=1) + "\n")
    return 1 if verdict["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
