"""The cookie of a signed-in browser, and the proof that a request comes from our own pages.

The cookie goes with every request that a browser sends here, whoever made it send one. So it counts alone where the
browser says that a page of ours asks (Fetch metadata, or ``Origin``), and what changes something needs a token
besides that only our pages can read. See OWASP's cheat sheet on cross-site request forgery.
"""

import hashlib
import hmac
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import Response

from models_store.errors import ForbiddenError

SESSION: Final = "finetuned_session"
CSRF_HEADER: Final = "x-csrf-token"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OURS: Final = frozenset({"same-origin", "none"})
"""``none``: the user's own doing, such as a bookmark."""


def session_token(headers: Headers) -> str | None:
    """What the session's cookie holds."""
    return cookie(headers, SESSION) or None


def cookie(headers: Headers, name: str) -> str:
    """A cookie's value; empty where there is none."""
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return "" if morsel is None else morsel.value


def keep(response: Response, token: str, headers: Headers, scheme: str, *, seconds: float) -> None:
    """Give the browser the session's cookie, which no script can read and no other site can make it send."""
    secure = "https" in {scheme, headers.get("x-forwarded-proto")}  # a client that lies about it harms itself
    response.set_cookie(SESSION, token, max_age=int(seconds), httponly=True, samesite="strict", secure=secure)


def forget(response: Response) -> None:
    """Take the session's cookie away."""
    response.delete_cookie(SESSION, httponly=True, samesite="strict")


def csrf_token(token: str) -> str:
    """What a session's own pages send along; the cookie cannot be told from it."""
    return hashlib.sha256(f"csrf {token}".encode()).hexdigest()


def check(method: str, headers: Headers, token: str) -> None:
    """Refuse a request that a session's own pages did not send.

    Raises:
        ForbiddenError: ``cross_site_request``, ``csrf_token_invalid``.
    """
    if method in _SAFE:
        if headers.get("sec-fetch-site", "none") not in _OURS and not _is_opened(headers):
            raise _cross_site()
        return
    check_origin(headers)
    if not hmac.compare_digest(headers.get(CSRF_HEADER, "").encode(), csrf_token(token).encode()):
        message = f"A signed-in browser must send the page's token as {CSRF_HEADER}. Load the page again."
        raise ForbiddenError("csrf_token_invalid", message)


def check_origin(headers: Headers) -> None:
    """Refuse what does not come from a page of ours.

    Raises:
        ForbiddenError: ``cross_site_request``.
    """
    site = headers.get("sec-fetch-site")
    if site is None:  # older browsers, and all that came over HTTP from another machine
        origin = urlsplit(headers.get("origin", "")).netloc
        site = "same-origin" if origin and origin == headers.get("host") else "cross-site"
    if site not in _OURS:
        raise _cross_site()


def _is_opened(headers: Headers) -> bool:
    """Whether the user followed a link, which another site may have: no script of it sees the answer."""
    return headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"


def _cross_site() -> ForbiddenError:
    message = "Another site made the browser send this. Open this service's own page, and do it there."
    return ForbiddenError("cross_site_request", message)
