"""Very many jobs and workers whose jobs only sleep: what claims, renewals and endings cost, and where they bend.

``python -m bench.many_workers --jobs 100000 --workers 500 --on postgresql`` makes a database of its own and removes it;
``--database-url`` takes an empty one that is there. What it measures is told in docs/scaling.md.
"""

import argparse
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import httpx
from sqlalchemy import insert, select

from models_store import ids, jobs, leases
from models_store.database.engine import Database
from models_store.database.migrate import migrate
from models_store.database.tables import JobRow
from models_store.errors import LeaseLostError, UnavailableError
from tests import postgresql

_T = TypeVar("_T")
WANTED: Final = {"ann": 50, "bob": 20, "cho": 15, "dan": 10, "eve": 5}
"""Hundredths of the queue."""
RENEW_SECONDS: Final = 5.0
ALONE: Final = 100
LEAD_SECONDS: Final = 10.0
"""For processes and threads to start."""
KEY: Final = "ft_many_workers"
_CHUNK: Final = 10_000
_WARM_GETS: Final = 20


@dataclass
class Seen:
    """Seconds of every call by its name, the owners of the claimed jobs, and how often the database refused."""

    calls: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    owners: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    lost: int = 0
    """Leases that ended because their renewal came too late."""

    def timed(self, name: str, call: Callable[[], _T]) -> _T:
        started = time.perf_counter()
        answer = call()
        self.calls[name].append(time.perf_counter() - started)
        return answer

    def add(self, other: "Seen") -> None:
        for name, times in other.calls.items():
            self.calls[name].extend(times)
        self.owners += other.owners
        self.refused += other.refused
        self.lost += other.lost


@dataclass(frozen=True)
class Load:
    """What one process does: so many workers, whose jobs take so long, from a time until another."""

    url: str
    workers: int
    job_seconds: float
    since: float
    until: float


def fill(database: Database, count: int) -> None:
    """Queued jobs of five owners who want very unequal amounts, one after the other as they came."""
    owners = [owner for owner, share in WANTED.items() for _ in range(count * share // 100)]
    same = {"kind": jobs.FINE_TUNE, "lane": "training", "name": "job", "dataset_id": "ds_none", "state": "queued"}
    at = time.time()
    more = {"backbone": "none", "request": {}, "config": {}, "extra": {}, "created_at": at, "queued_at": at}
    for start in range(0, len(owners), _CHUNK):
        rows = [{**same, **more, "id": ids.new("job"), "owner": owner} for owner in owners[start : start + _CHUNK]]
        with database.write() as session:
            session.execute(insert(JobRow), rows)


def work(load: Load) -> Seen:
    """One process of workers, a thread each, that share its connections."""
    database = Database(load.url)
    seen = [Seen() for _ in range(load.workers)]
    threads = [threading.Thread(target=_worker, args=(database, load, one)) for one in seen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    database.close()
    total = Seen()
    for one in seen:
        total.add(one)
    return total


def _worker(database: Database, load: Load, seen: Seen) -> None:
    time.sleep(max(0.0, load.since - time.time()))
    while time.time() < load.until:
        try:
            one_job(database, seen, load.job_seconds)
        except UnavailableError:
            seen.refused += 1
        except LeaseLostError:
            seen.lost += 1


def one_job(database: Database, seen: Seen, seconds: float) -> None:
    """Claim, sleep with renewals, and end, as a worker and its child do."""
    claim = seen.timed("claim", lambda: leases.claim(database, "training", "bench"))
    if claim is None:
        raise RuntimeError("The queue is empty. Ask for more jobs, or a shorter time.")
    with database.read() as session:
        seen.owners[session.scalars(select(JobRow.owner).where(JobRow.id == claim.job_id)).one()] += 1
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, RENEW_SECONDS))
        seen.timed("renew", lambda: leases.renew(database, claim))
    seen.timed("end", lambda: leases.succeed(database, claim, lambda _session: {}))


@contextmanager
def scratch(kind: str) -> Iterator[str]:
    """The URL of an empty database that is gone afterwards."""
    programs = postgresql.bin_dir()
    with tempfile.TemporaryDirectory(prefix="many-workers-") as folder:
        if kind == "sqlite":
            yield f"sqlite:///{folder}/many.db"
        elif programs is None:
            raise RuntimeError("PostgreSQL is not installed.")
        else:
            with postgresql.running(programs) as server:
                yield server.create("many")


@contextmanager
def api(url: str) -> Iterator[httpx.Client]:
    """An HTTP service on the database, without a broker."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="many-workers-") as folder:
        given = {"DATABASE_URL": url, "PORT": str(port), "API_KEY": KEY, "DATA_DIR": folder}
        environment = {**os.environ, **{f"FINETUNED_{name}": value for name, value in given.items()}}
        environment["FINETUNED_REDIS_URL"] = f"redis+socket://{folder}/none"
        with Path(folder, "log").open("wb") as log:
            process = subprocess.Popen([sys.executable, "-m", "app"], env=environment, stdout=log, stderr=log)
        try:
            headers = {"Authorization": f"Bearer {KEY}"}
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30) as client:
                _until_it_answers(client)
                yield client
        finally:
            process.terminate()
            process.wait()


def _until_it_answers(client: httpx.Client) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            client.get("/healthz").raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.2)
        else:
            return
    raise RuntimeError("The service did not start within a minute.")


def _gets(client: httpx.Client, job_ids: Sequence[str], until: float, seen: Seen) -> None:
    """Read one job after the other, twenty a second at most."""
    for job_id in job_ids[:_WARM_GETS]:
        client.get(f"/jobs/{job_id}").raise_for_status()
    while time.time() < until:
        for job_id in job_ids:
            seen.timed("GET /jobs/{id}", lambda: client.get(f"/jobs/{job_id}").raise_for_status())  # noqa: B023
            time.sleep(0.05)
            if time.time() > until:
                return


def measure(url: str, given: argparse.Namespace) -> None:
    """Fill, measure one worker alone, then all of them with the service beside them."""
    database = Database(url)
    migrate(database)
    fill(database, given.jobs)
    alone = Seen()
    for _ in range(ALONE):
        one_job(database, alone, 0.0)
    tell("one worker alone, jobs of 0 s", alone, None)
    with database.read() as session:
        some = session.scalars(select(JobRow.id).order_by(JobRow.id).limit(100)).all()
    database.close()
    with api(url) as client, multiprocessing.get_context("spawn").Pool(given.processes) as pool:
        for job_seconds in given.job_seconds:
            since = time.time() + LEAD_SECONDS
            until = since + given.seconds
            load = Load(url, given.workers // given.processes, job_seconds, since, until)
            answers = pool.map_async(work, [load] * given.processes)
            seen = Seen()
            time.sleep(LEAD_SECONDS)
            _gets(client, some, until, seen)
            for one in answers.get():
                seen.add(one)
            tell(f"{given.workers} workers, jobs of {job_seconds:g} s", seen, time.time() - since)


def tell(what: str, seen: Seen, seconds: float | None) -> None:
    """Print what was seen."""
    print(f"\n{what}")
    if seconds is not None:
        claims = len(seen.calls["claim"])
        print(f"  {claims / seconds:.1f} claims a second, {seen.refused} calls refused, {seen.lost} leases lost")
        print(f"  claims by owner: {', '.join(f'{owner} {count}' for owner, count in sorted(seen.owners.items()))}")
    for name, times in seen.calls.items():
        at = sorted(times)
        p50, p99 = (1000 * at[min(len(at) - 1, round(share * len(at)))] for share in (0.5, 0.99))
        print(f"  {name}: {len(at)} calls, {1000 * sum(at) / len(at):.1f} ms on average, p50 {p50:.1f}, p99 {p99:.1f}")


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m bench.many_workers")
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=500)
    parser.add_argument("--processes", type=int, default=2, help="that hold the workers' threads")
    parser.add_argument("--seconds", type=float, default=40.0, help="of every load")
    parser.add_argument("--job-seconds", type=float, nargs="+", default=[10.0, 5.0, 2.0])
    parser.add_argument("--on", choices=["sqlite", "postgresql"], default="postgresql")
    parser.add_argument("--database-url", default="", help="an empty database, instead of one that is made")
    given = parser.parse_args()
    if given.database_url:
        measure(given.database_url.replace("postgresql://", "postgresql+psycopg://", 1), given)
        return
    with scratch(given.on) as url:
        measure(url, given)


if __name__ == "__main__":
    main()
