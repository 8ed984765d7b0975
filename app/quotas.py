"""What one owner may have at once."""

from sqlalchemy import func, select

from app.deps import Services
from models_store.database.tables import ACTIVE, JobRow
from models_store.errors import TooManyError
from models_store.keys import Caller


def check_active_jobs(services: Services, caller: Caller) -> None:
    """Refuse more work while too much of this owner's is queued or running.

    Requests at the same moment may pass together; the quota is a brake, not a count.

    Raises:
        TooManyError: ``too_many_jobs``.
    """
    active = select(func.count()).where(JobRow.owner == caller.owner, ACTIVE)
    with services.database.read() as session:
        count = session.scalar(active) or 0
    if count >= services.settings.max_active_jobs:
        raise TooManyError(
            "too_many_jobs", f"You have {count} jobs and imports queued or running. Wait until some have ended."
        )
