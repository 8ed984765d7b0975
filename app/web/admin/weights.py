"""``/ui/admin/weights``: the mirror of pretrained weights; for admins. Files go to ``POST /weights`` itself."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import Query, Request, Response
from fastapi.responses import HTMLResponse

from app.deps import ActorDep, AdminDep, PageQuery, ServicesDep
from app.web.admin.lists import PART, After
from app.web.notices import with_notice
from app.web.rendering import render, texts
from app.web.routing import page_router
from app.weights import endpoints as api
from app.weights.schemas import WeightsNames

router = page_router("/ui/admin/weights")


@router.get("")
def weights_page(
    request: Request, services: ServicesDep, admin: AdminDep, query: Annotated[After, Query()]
) -> Response:
    """What the mirror has, and a form to add to it; or, where htmx asks, more rows."""
    page = api.list_weights(PageQuery(limit=PART, after=query.after), services, admin)
    last = f"{page.data[-1].backbone}:{page.data[-1].weights}" if page.has_more else ""
    return render(
        request,
        "admin/_weights_rows.html" if query.is_more(request) else "admin/weights.html",
        nav="weights",
        entries=page.data,
        suffixes=",".join(api.SUFFIXES),
        next_href=f"/ui/admin/weights?{urlencode({'after': last})}" if last else "",
    )


@router.delete("")
def remove_weights(
    request: Request,
    services: ServicesDep,
    admin: AdminDep,
    actor: ActorDep,
    names: Annotated[WeightsNames, Query()],
) -> Response:
    """Take weights out of the mirror; their row goes, so nothing stands in its place."""
    api.remove_weights(names, services, admin, actor)
    return with_notice(HTMLResponse(""), texts(request)("weights.removed"))
