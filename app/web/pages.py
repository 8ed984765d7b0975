"""Every page, as the application includes them."""

from typing import Final

from fastapi import APIRouter

from app.web import home, signing_in, static, unknown

ROUTERS: Final[tuple[APIRouter, ...]] = (
    static.router,
    signing_in.router,
    home.router,
    unknown.router,  # last: it takes every other address of a page
)
