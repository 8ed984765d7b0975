"""The API's share of housekeeping: ring for rows that nobody claimed, reap leases, drop uploads that were cut off."""

import asyncio
import random
import time

import structlog
from starlette.concurrency import run_in_threadpool

from app import uploads
from app.deps import Services
from models_store import copies
from models_store.errors import UnavailableError
from models_store.sweep import INTERVAL_SECONDS, sweep

_CLEAN_SECONDS = 600.0
_log = structlog.get_logger()


async def run(services: Services) -> None:
    """Sweep about every five seconds until cancelled; the jitter keeps several processes from marching in step."""
    cleaned = time.monotonic()
    while True:
        await asyncio.sleep(INTERVAL_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311 - not a secret
        try:
            await run_in_threadpool(sweep, services.database, services.bell.ring)
            if time.monotonic() - cleaned > _CLEAN_SECONDS:
                cleaned = time.monotonic()
                await run_in_threadpool(uploads.remove_leftovers, services.database, services.settings.uploads_dir)
                await run_in_threadpool(copies.forget, services.database, services.storage)
        except (UnavailableError, OSError) as error:
            _log.warning("sweep_skipped", reason=str(error))
