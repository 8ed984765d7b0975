"""Addresses under ``/ui`` that lead nowhere, for people who mistyped one or follow an old link."""

from app.web.routing import page_router
from models_store.errors import NotFoundError

router = page_router()


@router.get("/ui/{rest:path}")
@router.get("/ui")
def nothing_here() -> None:
    """Say so on a page."""
    raise NotFoundError("page_not_found", "There is no such page. Go on from the start page.")
