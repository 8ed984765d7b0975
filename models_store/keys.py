"""API keys: 256 random bits, stored as their SHA-256, with an owner and a role.

A key is found by its hash, through an index, and an index does not compare in constant time. That tells nobody
anything: what is compared is the hash of what was sent, and to choose the hash's first digits one has to try keys at
random. The row that was found is compared once more, in constant time.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from models_store import audit, ids
from models_store.database.engine import Database, now
from models_store.database.tables import VALID, KeyRow
from models_store.errors import NotFoundError, UnauthorizedError
from models_store.paging import newest

ADMIN: Final = "admin"
USER: Final = "user"


@dataclass(frozen=True)
class Caller:
    """Who sent a request."""

    owner: str
    role: str
    key: str = ""
    """Id of the key that came with the request."""

    @property
    def sees(self) -> str | None:
        """The owner whose objects this caller sees; None is everybody's."""
        return None if self.role == ADMIN else self.owner


def generate() -> str:
    """Make a new key."""
    return f"ft_{secrets.token_urlsafe(32)}"


def ensure_admin(database: Database, key: str) -> None:
    """Make ``key`` an admin's key, also when it was revoked before."""
    with database.write() as session:
        row = session.scalar(select(KeyRow).where(KeyRow.sha256 == _sha256(key)))
        if row is None:
            _insert(session, key, "admin", ADMIN, audit.SERVICE)
        elif row.role != ADMIN or row.revoked_at is not None:
            row.role, row.revoked_at = ADMIN, None
            audit.record(session, audit.SERVICE, "key.created", row.id, owner=row.owner)


def any_admin(database: Database) -> bool:
    """Whether some admin key is known and not revoked."""
    with database.read() as session:
        query = select(KeyRow.id).where(KeyRow.role == ADMIN, VALID).limit(1)
        return session.scalar(query) is not None


def create(database: Database, owner: str, role: str, by: audit.Actor = audit.SERVICE) -> tuple[KeyRow, str]:
    """Make a key; the second value is the key itself, which is not stored."""
    key = generate()
    with database.write() as session:
        return _insert(session, key, owner, role, by), key


def authenticate(database: Database, key: str) -> Caller:
    """Tell whose key this is.

    Raises:
        UnauthorizedError: ``invalid_key``.
    """
    digest = _sha256(key)
    with database.read() as session:
        row = session.scalar(select(KeyRow).where(KeyRow.sha256 == digest))
    if row is None or row.revoked_at is not None or not hmac.compare_digest(row.sha256, digest):
        raise UnauthorizedError("invalid_key", "This API key is not known or was revoked. Ask an admin for a new one.")
    return Caller(owner=row.owner, role=row.role, key=row.id)


def page(session: Session, *, limit: int, after: str | None = None) -> tuple[Sequence[KeyRow], bool]:
    """The newest keys that are not revoked, and whether there are more."""
    query = select(KeyRow).where(VALID)
    return newest(session, query, KeyRow.id, limit=limit, after=after)


def revoke(database: Database, key_id: str, by: audit.Actor = audit.SERVICE) -> None:
    """Revoke a key from now on.

    Raises:
        NotFoundError: no such key, or revoked already.
    """
    with database.write() as session:
        known = (KeyRow.id == key_id, KeyRow.revoked_at.is_(None))
        owner = session.scalar(update(KeyRow).where(*known).values(revoked_at=now()).returning(KeyRow.owner))
        if owner is None:
            raise NotFoundError("key_not_found", f"There is no key {key_id!r}. List them with GET /keys.")
        audit.record(session, by, "key.revoked", key_id, owner=owner)


def _insert(session: Session, key: str, owner: str, role: str, by: audit.Actor) -> KeyRow:
    row = KeyRow(
        id=ids.new("key"),
        owner=owner,
        role=role,
        sha256=_sha256(key),
        prefix=key[:8],
        created_at=session.scalar(select(now())),
    )
    session.add(row)
    session.flush()
    audit.record(session, by, "key.created", row.id, owner=owner)
    return row


def _sha256(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
