"""A look into the database of an installation, past its API."""

from models_store.database.engine import Database
from models_store.database.tables import JobRow
from tests.e2e.service import Service


def row(service: Service, job_id: str) -> JobRow:
    """The job's row as it is now."""
    database = Database(service.database_url)
    try:
        with database.read() as session:
            return session.get_one(JobRow, job_id)
    finally:
        database.close()


def history(service: Service, job_id: str) -> str:
    """Everything that the job's log events say."""
    return "\n".join(event["data"]["message"] for event in service.events(job_id) if event["type"] == "log")
