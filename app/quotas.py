"""What one owner may have at once: active jobs, and bytes in the store."""

from typing import Final

from sqlalchemy import bindparam, func, select

from app.deps import Services
from models_store import usage
from models_store.database.tables import ACTIVE, JobRow
from models_store.errors import TooManyError
from models_store.keys import Caller

_ACTIVE_JOBS: Final = select(func.count()).where(JobRow.owner == bindparam("owner"), ACTIVE)


def check_active_jobs(services: Services, caller: Caller) -> None:
    """Refuse more work while too much of this owner's is queued or running.

    Requests at the same moment may pass together; the quota is a brake, not a count.

    Raises:
        TooManyError: ``too_many_jobs``.
    """
    with services.database.glance() as connection:
        count = connection.scalar(_ACTIVE_JOBS, {"owner": caller.owner}) or 0
    if count >= services.settings.max_active_jobs:
        raise TooManyError(
            "too_many_jobs", f"You have {count} jobs and imports queued or running. Wait until some have ended."
        )


def room(services: Services, caller: Caller) -> usage.Room:
    """What this caller may still store: for a check before the bytes come, and while they do.

    The transaction that inserts the object checks once more: uploads at the same moment have the same room.

    Raises:
        TooManyError: ``storage_quota``, there is none.
    """
    with services.database.glance() as connection:
        found = usage.room(connection, caller.owner, services.settings.max_stored_bytes)
    found.check(1)
    return found
