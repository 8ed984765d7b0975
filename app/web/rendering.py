"""Templates to pages, with what every page has: the reader's language, who is signed in, and a strict policy."""

from functools import cache
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from app.web import cookies, filters, static
from app.web import texts as texts_of
from app.web.texts import Texts
from models_store.keys import Caller

CSP: Final = (
    "default-src 'self'; img-src 'self' blob: data:; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": CSP,
    # no-referrer would make browsers send `Origin: null` with the sign-in form, which then could not be told as ours
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Vary": "Cookie, Accept-Language",
}
THEME_COOKIE: Final = "theme"
_THEMES: Final = frozenset({"light", "dark"})


def render(request: Request, template: str, *, status_code: int = 200, **context: Any) -> HTMLResponse:
    """A template as the answer to a request."""
    return HTMLResponse(html(request, template, **context), status_code=status_code, headers=HEADERS)


def html(request: Request, template: str, **context: Any) -> str:
    """A template as text, for streams."""
    return _environment().get_template(template).render({**_shared(request), **context})


def texts(request: Request) -> Texts:
    """Messages in the reader's language, for Python code."""
    return texts_of.of(request)


def redirected(url: str) -> Response:
    """Let a page that sent something with htmx go on to another one."""
    return Response(status_code=204, headers={"HX-Redirect": url})


def _shared(request: Request) -> dict[str, Any]:
    t = texts(request)
    caller: Caller | None = getattr(request.state, "caller", None)
    token = cookies.session_token(request.headers)
    theme = cookies.cookie(request.headers, THEME_COOKIE)
    return {
        "t": t,
        "lang": t.language,
        "languages": texts_of.LANGUAGES,
        "theme": theme if theme in _THEMES else "auto",
        "caller": caller,
        "csrf": cookies.csrf_token(token) if token and caller else "",
        "static": static.url,
        "nav": "",
        "path": request.url.path,
    }


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("app.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters.FILTERS)
    return environment
