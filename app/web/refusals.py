"""What cannot be done, for people: a page that says so, a notice on the page that is open, or the way to sign in."""

import json
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Scope

from app import errors
from app.web.rendering import render, texts
from models_store.errors import FinetunedError, Kind

_PATHS: Final = frozenset({"/", "/login", "/logout"})
_PREFIX: Final = "/ui/"


def answer(scope: Scope, error: FinetunedError) -> Response:
    """The refusal in the form that who asks can read: people have pages, programs have problems."""
    if not is_page(scope["path"]):
        return errors.refusal(error, request_id=errors.request_id(scope))
    if error.kind is Kind.UNAUTHORIZED:
        return sign_in(scope)
    return page(scope, errors.STATUS[error.kind], error.code, error.message)


def is_page(path: str) -> bool:
    """Whether people, and not programs, ask for this address."""
    return path in _PATHS or path.startswith(_PREFIX) or path == "/ui"


def sign_in(scope: Scope) -> Response:
    """The way to the sign-in page, and back from there."""
    query = scope["query_string"].decode("latin-1")
    wanted = scope["path"] + (f"?{query}" if query else "")
    asks_for_a_part = "hx-request" in Headers(scope=scope)
    if asks_for_a_part:
        return Response(status_code=204, headers={"HX-Redirect": "/login"})
    return RedirectResponse("/login" if wanted == "/" else f"/login?next={quote(wanted, safe='/')}", status_code=303)


def page(scope: Scope, status: int, code: str, message: str) -> Response:
    """An error as a page, or as a notice where only a part of the page was asked for."""
    request = Request(scope)
    if "hx-request" in request.headers:
        return Response(
            status_code=status, headers={"HX-Reswap": "none", "HX-Trigger": _notice(request, code, message)}
        )
    title = HTTPStatus(status).phrase
    return render(request, "error.html", status_code=status, status=status, heading=title, code=code, message=message)


def _notice(request: Request, code: str, message: str) -> str:
    """The event that makes app.js show a notice; headers are ASCII, as JSON can be."""
    known: dict[str, Any] = {"code": code, "message": texts(request).error(code, message), "kind": "bad"}
    return json.dumps({"notice": known})
