"""``/ui/models``: the models, newest first, in parts."""

from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import Query, Request, Response
from pydantic import Field

from app.deps import CallerDep, Closed, ServicesDep
from app.models.schemas import Model
from app.web.rendering import render
from app.web.routing import page_router
from models_store import aliases, registry

router = page_router("/ui/models")
_PART: Final = 50


class ModelsQuery(Closed):
    """Which part of the list is wanted."""

    after: str | None = Field(None, max_length=300)
    name: str | None = Field(None, max_length=200)


@router.get("")
def listing(
    request: Request, services: ServicesDep, caller: CallerDep, query: Annotated[ModelsQuery, Query()]
) -> Response:
    """The page; or, where htmx asks for what follows a model, rows for its table."""
    with services.database.read() as session:
        rows, more = registry.page(session, owner=caller.sees, limit=_PART, after=query.after, name=query.name)
        names = aliases.of(session, [row.id for row in rows])
    models = [(Model.of(row, names.get(row.id, ())), row.owner) for row in rows]
    following = {"after": rows[-1].id, **({"name": query.name} if query.name else {})} if more else {}
    asked_for_rows = "hx-request" in request.headers and query.after is not None
    return render(
        request,
        "models/_rows.html" if asked_for_rows else "models/list.html",
        nav="models",
        models=models,
        name=query.name,
        first=query.after is None,
        next_href=f"/ui/models?{urlencode(following)}" if following else "",
    )
