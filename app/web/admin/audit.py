"""``/ui/admin/audit``: who did what; for admins."""

from typing import Annotated, Final, get_args
from urllib.parse import urlencode

from fastapi import Query, Request, Response
from pydantic import Field, field_validator

from app.audit import endpoints as api
from app.audit.schemas import AuditQuery
from app.deps import AdminDep, ServicesDep
from app.web.admin.lists import PART, After
from app.web.rendering import render
from app.web.routing import page_router
from models_store.audit import Action

router = page_router("/ui/admin/audit")
_ACTIONS: Final[tuple[str, ...]] = get_args(Action)


class Wanted(After):
    """Which entries are wanted; an empty field of the form asks for all."""

    owner: str | None = Field(None, max_length=200)
    action: Action | None = None

    @field_validator("owner", "action", mode="before")
    @classmethod
    def _nothing(cls, value: str | None) -> str | None:
        return value or None


@router.get("")
def audit_page(request: Request, services: ServicesDep, admin: AdminDep, query: Annotated[Wanted, Query()]) -> Response:
    """The newest entries, of one owner's objects or one action if wanted; or, where htmx asks, more rows."""
    wanted = AuditQuery(limit=PART, after=query.after, owner=query.owner, action=query.action)
    page = api.list_audit(wanted, services, admin)
    same = {name: value for name in ("owner", "action") if (value := getattr(query, name))}
    following = urlencode({**same, "after": page.data[-1].id}) if page.has_more else ""
    return render(
        request,
        "admin/_audit_rows.html" if query.is_more(request) else "admin/audit.html",
        nav="audit",
        entries=page.data,
        actions=_ACTIONS,
        owner=query.owner or "",
        action=query.action or "",
        next_href=f"/ui/admin/audit?{following}" if following else "",
    )
