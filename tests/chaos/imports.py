"""Imports of small data sets: durable work that costs a second, by the same protocol as a training."""

from collections.abc import Iterable, Sequence

from sqlalchemy import select, update

from models_store.database.engine import Database
from models_store.database.tables import EventRow, JobRow
from tests.e2e.service import Service, until

ONCE = ["queued", "running", "succeeded"]


def post(service: Service, count: int, *, seconds: float = 60) -> list[str]:
    """Upload ``count`` sets of different content; each is answered within ``seconds``. Gives their ids."""
    return [_post(service, number, seconds) for number in range(count)]


def _post(service: Service, number: int, seconds: float) -> str:
    answer = service.client.post("/datasets", files={"file": (f"{number}.csv", content(number))}, timeout=seconds)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def content(number: int) -> bytes:
    """A CSV of eight texts in two classes that no other number has."""
    rows = [f"text {number} of {label} in row {row},{label}" for label in ("good", "bad") for row in range(4)]
    return "\n".join(["text,label", *rows, ""]).encode()


def jobs(service: Service, datasets: Iterable[str]) -> list[JobRow]:
    """The import jobs of some data sets, oldest first, as the database has them."""
    database = Database(service.database_url)
    try:
        with database.read() as session:
            wanted = JobRow.dataset_id.in_(list(datasets)), JobRow.kind == "import"
            return list(session.scalars(select(JobRow).where(*wanted).order_by(JobRow.id)))
    finally:
        database.close()


def unring(service: Service, datasets: Iterable[str]) -> None:
    """As if no message had ever been sent for these imports: the next sweep takes them all at once."""
    database = Database(service.database_url)
    try:
        with database.write() as session:
            session.execute(update(JobRow).where(JobRow.dataset_id.in_(list(datasets))).values(rung_at=None))
    finally:
        database.close()


def statuses(service: Service, job_id: str) -> list[str]:
    """Every state that a job was ever put into, in order."""
    database = Database(service.database_url)
    try:
        with database.read() as session:
            mine = EventRow.job_id == job_id, EventRow.type == "status"
            events = session.scalars(select(EventRow).where(*mine).order_by(EventRow.id))
            return [str(event.data["status"]) for event in events]
    finally:
        database.close()


def done(service: Service, datasets: Sequence[str], seconds: float) -> list[JobRow]:
    """Wait until all imports have succeeded; gives their rows."""

    def all_succeeded() -> list[JobRow] | None:
        rows = jobs(service, datasets)
        assert not [row.error for row in rows if row.state in {"failed", "cancelled"}]
        return rows if all(row.state == "succeeded" for row in rows) else None

    rows: list[JobRow] = until(all_succeeded, seconds, f"{len(datasets)} imports have succeeded")
    assert len(rows) == len(datasets)
    return rows


def done_once(service: Service, datasets: Sequence[str], seconds: float) -> None:
    """Wait until all imports have succeeded, and hold that each was attempted once."""
    rows = done(service, datasets, seconds)
    assert [(row.attempt, row.fence) for row in rows] == [(1, 1)] * len(rows)
    assert [statuses(service, row.id) for row in rows] == [ONCE] * len(rows)
