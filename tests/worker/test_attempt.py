"""An attempt ends by itself when its time is over, however busy the work is; a process of its own, as it exits."""

import subprocess
import sys
from pathlib import Path

from models_store import jobs
from models_store.database.engine import Database
from models_store.database.migrate import migrate
from models_store.database.tables import JobRow
from tests.models_store.rows import queued_job
from worker.attempt import LOST_EXIT

_SCRIPT = """
import sys, time
from pathlib import Path
from models_store import leases
from models_store.database.engine import Database
from worker.attempt import Attempt
from worker.settings import WorkerSettings

url, limit, works = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
database = Database(url)
claim = leases.claim(database, "training", "w")
attempt = Attempt(database, WorkerSettings(max_job_seconds=limit), claim, Path())
attempt.start()
end = time.monotonic() + works
while time.monotonic() < end:
    attempt.beat()
    time.sleep(0.01)
leases.succeed(database, claim, lambda session: {})
"""


def _run(folder: Path, limit: float, works: float) -> tuple[int, JobRow]:
    """Let an attempt work for so many seconds; gives its exit code and what became of its row."""
    url = f"sqlite:///{folder / 'test.db'}"
    database = Database(url)
    migrate(database)
    job_id = queued_job(database)
    done = subprocess.run([sys.executable, "-c", _SCRIPT, url, str(limit), str(works)], timeout=60, check=False)
    with database.read() as session:
        row = jobs.get(session, job_id, owner=None)
    database.close()
    return done.returncode, row


def test_a_job_that_works_beyond_its_time_is_ended_and_told_so(tmp_path: Path) -> None:
    code, row = _run(tmp_path, limit=0.2, works=50)
    assert code == LOST_EXIT
    assert row.state == "failed"
    assert row.error is not None
    assert row.error["code"] == "time_limit"


def test_a_job_within_its_time_is_left_alone(tmp_path: Path) -> None:
    code, row = _run(tmp_path, limit=1000, works=1.2)
    assert (code, row.state) == (0, "succeeded")
