"""``/audit``; for admins. There is no route that changes it."""

from typing import Annotated

from fastapi import APIRouter, Query

from app.audit.schemas import AuditQuery, Entry
from app.deps import AdminDep, Page, ServicesDep
from app.errors import responses
from models_store import audit

router = APIRouter(prefix="/audit", tags=["operating"])


@router.get("", responses=responses(403))
def list_audit(query: Annotated[AuditQuery, Query()], services: ServicesDep, _admin: AdminDep) -> Page[Entry]:
    """Who made and revoked keys, deleted, cancelled, moved aliases and changed the mirror: newest first."""
    with services.database.read() as session:
        rows, more = audit.page(session, **query.model_dump())
    return Page(data=[Entry.of(row) for row in rows], has_more=more)
