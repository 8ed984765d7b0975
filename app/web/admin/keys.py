"""``/ui/admin/keys``: who may use the service; for admins."""

from typing import Annotated

from fastapi import Form, Query, Request, Response
from fastapi.responses import HTMLResponse

from app.deps import ActorDep, AdminDep, IdPath, PageQuery, ServicesDep
from app.errors import validated
from app.keys import endpoints as api
from app.keys.schemas import NewKey
from app.web.admin.lists import PART, After
from app.web.notices import with_notice
from app.web.rendering import render, texts
from app.web.routing import page_router

router = page_router("/ui/admin/keys")


@router.get("")
def keys_page(request: Request, services: ServicesDep, admin: AdminDep, query: Annotated[After, Query()]) -> Response:
    """The keys that are not revoked, and a form for a new one; or, where htmx asks, more rows."""
    page = api.list_keys(PageQuery(limit=PART, after=query.after), services, admin)
    return render(
        request,
        "admin/_key_rows.html" if query.is_more(request) else "admin/keys.html",
        nav="keys",
        keys=page.data,
        next_href=f"/ui/admin/keys?after={page.data[-1].id}" if page.has_more else "",
    )


@router.post("")
def create_key(
    request: Request,
    services: ServicesDep,
    admin: AdminDep,
    actor: ActorDep,
    owner: Annotated[str, Form(max_length=300)],
    role: Annotated[str, Form(max_length=20)] = "user",
) -> Response:
    """Make a key; the answer is the only place where it is shown."""
    created = api.create_key(validated(NewKey, {"owner": owner, "role": role}, "body"), services, admin, actor)
    return render(request, "admin/_key_created.html", created=created)


@router.delete("/{key_id}")
def revoke_key(request: Request, key_id: IdPath, services: ServicesDep, admin: AdminDep, actor: ActorDep) -> Response:
    """Revoke a key; its row goes, so nothing stands in its place."""
    api.revoke_key(key_id, services, admin, actor)
    return with_notice(HTMLResponse(""), texts(request)("keys.revoked"))
