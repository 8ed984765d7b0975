"""``/ui/admin/usage``: who has stored how much; who is no admin sees what is theirs."""

from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import Query, Request, Response

from app.deps import CallerDep, PageQuery, ServicesDep
from app.operating import usage as api
from app.web.admin.lists import PART, After
from app.web.rendering import render
from app.web.routing import page_router

router = page_router("/ui/admin/usage")
_KINDS: Final = ("datasets", "models", "checkpoints")


@router.get("")
def usage_page(
    request: Request, services: ServicesDep, caller: CallerDep, query: Annotated[After, Query()]
) -> Response:
    """Usage by owner, and for admins what lies on the disk; or, where htmx asks, more rows."""
    page = api.read_usage(PageQuery(limit=PART, after=query.after), services, caller)
    following = urlencode({"after": page.data[-1].owner}) if page.has_more else ""
    return render(
        request,
        "admin/_usage_rows.html" if query.is_more(request) else "admin/usage.html",
        nav="usage",
        owners=page.data,
        kinds=_KINDS,
        disk=page.disk,
        next_href=f"/ui/admin/usage?{following}" if following else "",
    )
