"""The start page: what to do first, and, once there is something, how things stand."""

from fastapi import Request, Response

from app.deps import CallerDep
from app.web.rendering import render
from app.web.routing import page_router

router = page_router()


@router.get("/")
def home(request: Request, _caller: CallerDep) -> Response:
    """The page."""
    return render(request, "home.html", nav="home")
