"""A standby by itself: what it holds while it waits, how it is given a job, and when it is not."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import structlog.testing

from models_store.database.engine import Database
from models_store.database.migrate import migrate
from models_store.database.tables import JobRow
from models_store.leases import Claim
from tests.e2e import sets
from tests.e2e.service import until
from tests.models_store import rows
from worker import supervisor
from worker.reserve import BEGUN, FAILED, GENTLE, IMPORTING, READY, Reserve, Standby
from worker.settings import WorkerSettings
from worker.supervisor import supervise

LIGHT, HEAVY = "import", "fine_tune"
SECONDS = 120.0


@pytest.fixture
def make_standby() -> Iterator[Callable[..., Standby]]:
    """Makes standbys that end with the test."""
    made: list[Standby] = []

    def make(kind: str = LIGHT, pace: str = "", *, until_it_says: str = READY) -> Standby:
        standby = Standby(kind, pace)
        made.append(standby)
        until(lambda: standby.says(until_it_says), SECONDS, f"it says {until_it_says}")
        return standby

    yield make
    for standby in made:
        standby.end()


@pytest.fixture
def reserve() -> Iterator[Callable[[str], Reserve]]:
    """Opens a reserve that is closed at the end of the test."""
    opened: list[Reserve] = []

    def make(kind: str) -> Reserve:
        opened.append(Reserve(kind, multiprocessing.Event()))
        opened[-1].open()
        return opened[-1]

    yield make
    for one in opened:
        one.close()


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """The database that the processes of a worker find by their environment."""
    monkeypatch.setenv("FINETUNED_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("FINETUNED_DATABASE_URL", f"sqlite:///{tmp_path / 'test.db'}")
    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    migrate(database)
    yield database
    database.close()


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def priorities(standby: Standby) -> dict[int, int]:
    """How each thread of it stands behind others (0–19), by thread."""
    ids = [thread.id for thread in psutil.Process(standby.process.pid).threads()]
    return {thread: os.getpriority(os.PRIO_PROCESS, thread) for thread in ids}


def standbys_of(process: psutil.Process) -> list[psutil.Process]:
    return [child for child in process.children() if _is_standby(child)]


def _is_standby(child: psutil.Process) -> bool:
    try:
        return not gone(child) and "worker.standby" in child.cmdline()
    except psutil.Error:  # it has just ended
        return False


def queued_import(database: Database, folder: Path) -> Claim:
    """A claimed import of a small table."""
    rows.new_dataset(database)
    (folder / "uploads").mkdir()
    (folder / "uploads" / "u.csv").write_bytes(sets.sentence_csv(10))
    return rows.claimed(database, "light")


class Handing(Reserve):
    """A reserve that lets the test do something at the moment at which a standby has been given its job."""

    def __init__(self, kind: str, moment: Callable[[Standby], None]) -> None:
        super().__init__(kind, multiprocessing.Event())
        self._moment = moment

    def take(self, job_id: str, fence: int, log: int) -> Standby | None:
        standby = super().take(job_id, fence, log)
        assert standby is not None
        self._moment(standby)
        return standby


def supervised(database: Database, folder: Path, moment: Callable[[Standby], None]) -> JobRow:
    """An import that is given to a standby that waits, frozen; the row at its end."""
    kept = Handing(LIGHT, moment)
    try:
        with structlog.testing.capture_logs() as said:
            kept.open()
            until(lambda: "standby_ready" in str(said), SECONDS, "it is ready")
        (standby,) = standbys_of(psutil.Process())
        standby.suspend()
        claim = queued_import(database, folder)
        supervise(database, WorkerSettings(data_dir=folder), claim, multiprocessing.Event(), kept)
        return rows.job(database, claim.job_id)
    finally:
        kept.close()


def test_an_idle_standby_holds_nothing_but_its_three_descriptors_and_a_group_of_its_own(
    make_standby: Callable[..., Standby],
) -> None:
    pid = make_standby().process.pid
    assert os.getpgid(pid) == pid
    opened = {Path(f"/proc/{pid}/fd/{number}").readlink() for number in os.listdir(f"/proc/{pid}/fd")}  # noqa: PTH208
    ours = {Path(f"/proc/self/fd/{number}").readlink() for number in (1, 2)}
    sockets = {name for name in opened if str(name).startswith("socket:")}
    assert len(sockets) == 1
    assert opened - sockets <= ours


def test_preparing_for_a_training_starts_no_gpu_and_no_threads_but_those_that_are_known() -> None:
    script = (
        "import importlib, os, worker.standby\n"
        "[importlib.import_module(name) for name in worker.standby.STARTS_THREADS]\n"
        "before = len(os.listdir('/proc/self/task'))\n"
        "import worker.training.recipe, torch\n"
        "assert not torch.cuda.is_initialized()\n"
        "assert len(os.listdir('/proc/self/task')) <= before"
    )
    several = {**os.environ, "OPENBLAS_NUM_THREADS": "2"}
    subprocess.run([sys.executable, "-c", script], env=several, check=True, timeout=SECONDS)


def test_gentle_imports_yield_to_others_and_nothing_else_of_the_standby_does(
    make_standby: Callable[..., Standby],
) -> None:
    standby = make_standby(HEAVY, GENTLE, until_it_says=IMPORTING)
    lowered = {
        thread: nice for thread, nice in priorities(standby).items() if nice > os.getpriority(os.PRIO_PROCESS, 0)
    }
    assert list(lowered.values()) == [19]
    assert standby.process.pid not in lowered
    hurried = standby.hurry()
    assert hurried == (19 not in priorities(standby).values())


def test_a_standby_that_imported_gently_computes_as_fast_as_any(make_standby: Callable[..., Standby]) -> None:
    assert set(priorities(make_standby(LIGHT, GENTLE)).values()) == {os.getpriority(os.PRIO_PROCESS, 0)}


def test_a_standby_dies_with_the_process_that_keeps_it() -> None:
    script = "import sys; from worker.reserve import Standby; Standby('import', ''); sys.stdin.read()"
    keeper = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE)
    with keeper:
        (standby,) = until(lambda: standbys_of(psutil.Process(keeper.pid)), SECONDS, "it has a standby")
        until(lambda: standby.name() == "finetuned-idle", SECONDS, "the standby has started")
        keeper.kill()
    until(lambda: gone(standby), 10, "the standby is gone, too")


@pytest.mark.usefixtures("database")
def test_what_a_standby_says_about_its_job_goes_to_the_log_of_the_job(
    make_standby: Callable[..., Standby], tmp_path: Path
) -> None:
    standby = make_standby()
    with (tmp_path / "child.log").open("wb") as log:
        assert standby.hand_over("job_that_is_not_there", 1, log.fileno())
    assert standby.process.wait(SECONDS) != 0
    assert standby.says(BEGUN)
    assert "NoResultFound" in (tmp_path / "child.log").read_text()


def test_a_standby_that_has_imported_older_code_is_given_no_job(
    make_standby: Callable[..., Standby], tmp_path: Path
) -> None:
    sys.path.append(str(tmp_path))
    try:
        standby = make_standby()
        (tmp_path / "installed_meanwhile.py").touch()
        assert not standby.hand_over("job_1", 1, sys.stderr.fileno())
    finally:
        sys.path.remove(str(tmp_path))


def test_a_standby_whose_imports_fail_says_so_and_is_given_no_job(make_standby: Callable[..., Standby]) -> None:
    standby = make_standby("a kind that nothing runs", until_it_says=FAILED)
    assert not standby.hand_over("job_1", 1, sys.stderr.fileno())
    assert standby.process.wait(SECONDS) == 1


def test_a_dead_standby_is_replaced(reserve: Callable[[str], Reserve]) -> None:
    reserve(LIGHT)
    me = psutil.Process()
    (first,) = until(lambda: standbys_of(me), SECONDS, "there is a standby")
    first.kill()
    until(lambda: standbys_of(me) and standbys_of(me) != [first], SECONDS, "there is another")


def test_closing_the_reserve_leaves_no_process(reserve: Callable[[str], Reserve]) -> None:
    kept = reserve(LIGHT)
    me = psutil.Process()
    until(lambda: standbys_of(me), SECONDS, "there is a standby")
    kept.close()
    assert standbys_of(me) == []


def test_a_job_is_done_by_the_standby_that_was_given_it(database: Database, tmp_path: Path) -> None:
    taken: list[Standby] = []

    def moment(standby: Standby) -> None:
        standby.process.send_signal(signal.SIGCONT)
        taken.append(standby)

    job = supervised(database, tmp_path, moment)
    assert (job.state, job.attempt) == ("succeeded", 1)
    assert [standby.says(BEGUN) for standby in taken] == [True]


@pytest.mark.parametrize("waits", [False, True])
def test_a_job_has_the_machine_for_itself_unless_another_one_waits(
    waits: bool, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "NEXT_SECONDS", 0.0)
    if waits:
        rows.new_dataset(database)
    successors: list[list[psutil.Process]] = []

    def moment(standby: Standby) -> None:
        successors.append(standbys_of(psutil.Process()))
        threading.Timer(3.0, go_on, [standby]).start()

    def go_on(standby: Standby) -> None:
        successors.append(standbys_of(psutil.Process()))
        standby.process.send_signal(signal.SIGCONT)

    job = supervised(database, tmp_path, moment)
    assert job.state == "succeeded"
    assert [len(found) for found in successors] == [1, 2 if waits else 1], "the one that has the job is among them"


def test_a_job_that_takes_long_gets_its_successor_prepared(
    reserve: Callable[[str], Reserve], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("worker.reserve.ALONE_SECONDS", 1.0)
    with structlog.testing.capture_logs() as said:
        kept = reserve(LIGHT)
        until(lambda: "standby_ready" in str(said), SECONDS, "it is ready")
    (first,) = standbys_of(psutil.Process())
    first.suspend()
    with (tmp_path / "child.log").open("ab") as log:
        taken = kept.take("job_none", 1, log.fileno())
    assert taken is not None
    until(lambda: len(standbys_of(psutil.Process())) == 2, SECONDS, "there is another")
    taken.end()


def test_a_standby_that_dies_before_it_begins_its_job_costs_no_attempt(database: Database, tmp_path: Path) -> None:
    job = supervised(database, tmp_path, lambda standby: standby.process.kill())
    assert (job.state, job.attempt) == ("succeeded", 1)
