"""When a trunk may go: nothing stands on it, and nothing that runs could be about to."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from models_store import registry
from models_store.database.engine import Database
from models_store.database.tables import RUNNING, JobRow, ModelRow
from models_store.jobs import IMPORT
from models_store.storage.local import LOCAL
from models_store.storage.protocol import Storage


def drop(database: Database, store_dir: Path, sha256: str, storage: Storage = LOCAL) -> bool:
    """Remove a trunk if no model stands on it and no job runs that may name it; tells whether it is gone.

    No job can begin meanwhile: on SQLite this transaction is the only one that writes, on PostgreSQL it locks the
    table. A job that begins after it finds no trunk, and stores its own.
    """
    with storage.removal() as take, database.write() as session:
        lock_jobs(session)
        if _works(session) or stood_on(session, sha256, registry.unpublished(session, store_dir)):
            return False
        take(store_dir / "trunks" / sha256)
    return True


def lock_jobs(session: Session) -> None:
    """No job begins or ends until this transaction does: SQLite sees to that by itself."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("LOCK TABLE jobs IN SHARE MODE"))


def stood_on(session: Session, sha256: str, unpublished: Mapping[Path, Mapping[str, Any]]) -> bool:
    """Whether a model's row names this trunk, or a bundle that no row names does, or may."""
    needed: Collection[Any] = [card.get("trunk") for card in unpublished.values()]
    if None in needed or sha256 in needed:  # a bundle that does not tell its trunk may stand on any
        return True
    return session.scalar(select(ModelRow.id).where(ModelRow.trunk == sha256).limit(1)) is not None


def _works(session: Session) -> bool:
    """Whether a job runs that has to do with trunks."""
    return session.scalar(select(JobRow.id).where(RUNNING, JobRow.kind != IMPORT).limit(1)) is not None
