"""Routers of pages: they answer errors as pages, and stay out of the API's description."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from app.web import refusals
from models_store.errors import FinetunedError


class PageRoute(APIRoute):
    """A route whose refusals people read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler with ours around it."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except FinetunedError as error:
                return refusals.answer(request.scope, error)
            except RequestValidationError as error:
                return refusals.page(request.scope, 422, "validation_error", _first(error))

        return answer


def _first(error: RequestValidationError) -> str:
    found = error.errors()[0]
    return f"{'.'.join(str(part) for part in found['loc'][1:])}: {found['msg']}"


def page_router(prefix: str = "") -> APIRouter:
    """A router for pages under this address."""
    return APIRouter(prefix=prefix, include_in_schema=False, route_class=PageRoute, default_response_class=HTMLResponse)
