"""Sign in with a key, and out."""

import re
from typing import Annotated, Final

from fastapi import Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from app import errors
from app.deps import CallerDep, ServicesDep
from app.web import cookies
from app.web.rendering import render, texts
from app.web.routing import page_router
from models_store import sessions
from models_store.errors import FinetunedError, UnauthorizedError

router = page_router()
_LOCAL: Final = re.compile(r"/(ui(/[\w./%~-]*)?)?(\?[\w.~%&=+:@/-]*)?", re.ASCII)
"""Addresses of our pages: whoever signs in is sent nowhere else."""


@router.get("/login")
def sign_in_page(request: Request, next: Annotated[str, Query(max_length=2000)] = "/") -> Response:  # noqa: A002
    """The form. Another site's link brings no cookie, so who comes by one seems signed out: the page asks again."""
    again = request.headers.get("sec-fetch-site") in {"cross-site", "same-site"}
    return _form(request, next, again=again)


@router.post("/login")
async def sign_in(
    request: Request,
    services: ServicesDep,
    key: Annotated[str, Form(max_length=1000)] = "",
    next: Annotated[str, Form(max_length=2000)] = "/",  # noqa: A002
) -> Response:
    """Check the key as the API does, and give the browser a session instead of it."""
    cookies.check_origin(request.headers)
    address = request.client.host if request.client else ""
    try:
        caller = await services.authenticator.authenticate(f"Bearer {key.strip()}", address)
    except FinetunedError as error:
        return _form(request, next, error=error)
    seconds = services.settings.session_seconds
    token = await run_in_threadpool(sessions.begin, services.database, caller.key, seconds=seconds)
    response = RedirectResponse(_local(next), status_code=303)
    cookies.keep(response, token, request.headers, request.url.scheme, seconds=seconds)
    return response


@router.post("/logout")
def sign_out(request: Request, services: ServicesDep, _caller: CallerDep) -> Response:
    """End the session here, not only in the browser."""
    token = cookies.session_token(request.headers)
    if token is not None:
        sessions.end(services.database, token)
        services.authenticator.forget()
    response = Response(status_code=204, headers={"HX-Redirect": "/login"})
    cookies.forget(response)
    return response


def _form(request: Request, wanted: str, *, error: FinetunedError | None = None, again: bool = False) -> Response:
    status = 200 if error is None else errors.STATUS[error.kind]
    message = "" if error is None else texts(request).error(error.code, error.message)
    context = {"next": _local(wanted), "message": message, "again": again}
    response = render(request, "login.html", status_code=status, **context)
    if isinstance(error, UnauthorizedError):
        response.headers["WWW-Authenticate"] = 'Bearer realm="finetuned"'
    return response


def _local(wanted: str) -> str:
    return wanted if _LOCAL.fullmatch(wanted) else "/"
