"""Every page, as the application includes them."""

from typing import Final

from fastapi import APIRouter

from app.web import comparing, home, predicting, signing_in, static, unknown, working
from app.web.admin import audit, keys, usage, weights
from app.web.datasets import pages as datasets
from app.web.jobs import pages as jobs
from app.web.jobs import starting
from app.web.models import listing, page

ROUTERS: Final[tuple[APIRouter, ...]] = (
    static.router,
    signing_in.router,
    home.router,
    datasets.router,
    starting.router,
    jobs.router,
    working.router,
    listing.router,
    page.router,
    predicting.router,
    comparing.router,
    keys.router,
    usage.router,
    audit.router,
    weights.router,
    unknown.router,  # last: it takes every other address of a page
)
