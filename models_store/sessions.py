"""Browsers that have signed in: 256 random bits for a cookie, stored as their SHA-256, that stand for a key.

A session is worth no more than its key: it ends with it, and the key cannot be told from it.
"""

import hashlib
import secrets

from sqlalchemy import delete, select

from models_store.database.engine import Database, now
from models_store.database.tables import VALID, KeyRow, SessionRow
from models_store.errors import UnauthorizedError
from models_store.keys import Caller


def begin(database: Database, key_id: str, *, seconds: float) -> str:
    """Make a session of a key for so long, and forget those that are over; gives what the cookie holds."""
    token = secrets.token_urlsafe(32)
    with database.write() as session:
        clock = session.scalar(select(now())) or 0.0
        session.execute(delete(SessionRow).where(SessionRow.expires_at < clock))
        session.add(
            SessionRow(sha256=_sha256(token), key_id=key_id, created_at=clock, expires_at=clock + seconds),
        )
    return token


def authenticate(database: Database, token: str) -> Caller:
    """Tell whose session this is.

    Raises:
        UnauthorizedError: ``session_ended``, also where its key was revoked.
    """
    theirs = select(KeyRow).join(SessionRow, SessionRow.key_id == KeyRow.id)
    valid = (SessionRow.sha256 == _sha256(token), SessionRow.expires_at > now(), VALID)
    with database.read() as session:
        row = session.scalar(theirs.where(*valid))
    if row is None:
        raise UnauthorizedError("session_ended", "You are signed in no longer. Sign in again with your key.")
    return Caller(owner=row.owner, role=row.role, key=row.id)


def end(database: Database, token: str) -> None:
    """Sign out."""
    with database.write() as session:
        session.execute(delete(SessionRow).where(SessionRow.sha256 == _sha256(token)))


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
