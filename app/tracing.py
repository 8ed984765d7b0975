"""A span a request: what came in with ``traceparent`` goes on here, and jobs go on with it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

from starlette.datastructures import Headers
from starlette.types import Scope

from models_store import spans
from models_store.spans import Span, Tracer

_UNTOLD: Final = ("/healthz", "/readyz", "/metrics", "/v2/health/", "/static/", "/docs")
"""What machines ask every few seconds, and what says nothing."""
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_FAULT: Final = 500


def request(tracer: Tracer, scope: Scope) -> AbstractContextManager[Span | None]:
    """The block answers a request; gives its span, where it has one."""
    if not tracer.on or scope["path"].startswith(_UNTOLD):
        return nullcontext()
    return _begun(tracer, scope)


def answered(span: Span, scope: Scope, status: int) -> None:
    """Name the span by the route's pattern: paths hold what users have named."""
    route = getattr(scope.get("route"), "path", None)
    method = _method(scope)
    if route is not None:
        span.rename(f"{method} {route}")
        span.note({"http.route": route})
    span.note({"http.response.status_code": status})
    if status >= _FAULT:
        span.note({"error.type": str(status)})


@contextmanager
def _begun(tracer: Tracer, scope: Scope) -> Iterator[Span | None]:
    attributes = {
        "http.request.method": _method(scope),
        "finetuned.request.id": scope["state"]["request_id"],
    }
    came_with = Headers(scope=scope).get("traceparent")
    span = tracer.begin(_method(scope), came_with, attributes, kind="server")
    with spans.entered(span):
        yield span


def _method(scope: Scope) -> str:
    """As the conventions have it, so that no client can make up names without end."""
    return str(scope["method"]) if scope["method"] in _METHODS else "_OTHER"
