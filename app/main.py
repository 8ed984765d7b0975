"""The application: its services, its routes, and what happens when it starts and stops."""

import asyncio
import contextlib
import gc
import importlib
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import APIRouter, FastAPI
from starlette.concurrency import run_in_threadpool

from app import description, dispatcher, documentation, errors, uploads
from app.audit.endpoints import router as audit_router
from app.auth import Authenticator
from app.checkpoints.endpoints import router as checkpoints_router
from app.datasets.endpoints import router as datasets_router
from app.deps import Services
from app.guard import Guard
from app.huggingface.endpoints import router as huggingface_router
from app.jobs.endpoints import router as jobs_router
from app.keys.endpoints import router as keys_router
from app.models.aliases import router as aliases_router
from app.models.downloading import router as downloading_router
from app.models.endpoints import router as models_router
from app.models.reports import router as reports_router
from app.openinference.endpoints import router as openinference_router
from app.openinference.metadata import router as metadata_router
from app.operating.backbones import router as backbones_router
from app.operating.endpoints import router as operating_router
from app.operating.telemetry import Telemetry
from app.operating.usage import router as usage_router
from app.predictions.endpoints import router as predictions_router
from app.predictions.loading import Loader
from app.predictions.pool import ModelPool
from app.predictions.predicting import Predicting
from app.predictions.stepping import Stepping
from app.queue import Bell
from app.rates import Buckets
from app.settings import AppSettings
from app.web import pages
from app.weights.endpoints import router as weights_router
from models_store import keys, processors
from models_store.database.engine import Database
from models_store.spans import Tracer
from models_store.storage import opened

_API_VERSION: Final = "1"
_ASKING_AT_ONCE: Final = 8
"""Of a database that takes milliseconds to answer, eight at once are asked some thousand times a second."""
ROUTERS: Final[tuple[APIRouter, ...]] = (
    predictions_router,  # first, because a request is compared with one router after the other
    openinference_router,
    huggingface_router,
    metadata_router,
    datasets_router,
    checkpoints_router,
    jobs_router,
    models_router,
    aliases_router,
    downloading_router,
    reports_router,
    keys_router,
    weights_router,
    audit_router,
    operating_router,
    usage_router,
    backbones_router,
    documentation.router,
    *pages.ROUTERS,
)


def create_app(settings: AppSettings) -> FastAPI:
    """Build the service. The database must have been migrated when it starts."""
    services = _services(settings)
    app = FastAPI(
        title="finetuned",
        version=_API_VERSION,
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # it tells paths and messages; see app.tracing
        generate_unique_id_function=description.operation_id,
    )
    app.state.services = services
    for router in ROUTERS:
        app.include_router(router)
    errors.install(app, ROUTERS)
    app.add_middleware(
        Guard,
        settings=settings,
        authenticator=services.authenticator,
        observe=services.telemetry.observe_request,
        tracer=services.tracer,
    )
    app.openapi = lambda: description.describe(app)  # type: ignore[method-assign]  # FastAPI's documented way
    return app


def _sharing(database: Database) -> int:
    """Threads that short steps share. Where each asks a database over the network, more of them wait than compute."""
    return processors.usable() if database.has_one_writer else max(processors.usable(), _ASKING_AT_ONCE)


def _services(settings: AppSettings) -> Services:
    database = Database(settings.resolved_database_url)
    telemetry = Telemetry()
    storage = opened(settings)
    pool = ModelPool(
        Loader(settings.store_dir, settings.serving_precision, storage).load,
        max_bytes=settings.max_loaded_bytes,
        max_waiting=settings.max_waiting_predictions,
    )
    return Services(
        settings=settings,
        database=database,
        authenticator=Authenticator(
            database, settings.key_cache_seconds, Buckets(settings.max_wrong_keys_per_minute, 60.0)
        ),
        bell=Bell(settings.redis_url),
        pool=pool,
        predicting=Predicting(settings.prediction_timeout_seconds, telemetry.observe_batch),
        stepping=Stepping(_sharing(database), settings.max_waiting_predictions),
        telemetry=telemetry,
        tracer=Tracer("api"),
        storage=storage,
        stopping=threading.Event(),
    )


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    services: Services = app.state.services
    await run_in_threadpool(_prepare, services)
    services.bell.start()
    threading.Thread(target=_warm_up, name="warm-up", daemon=True).start()
    housekeeping = asyncio.create_task(dispatcher.run(services))
    try:
        yield
    finally:
        services.stopping.set()
        housekeeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await housekeeping
        services.stepping.stop()
        await run_in_threadpool(services.predicting.stop)
        await run_in_threadpool(services.bell.stop)
        await run_in_threadpool(services.tracer.close)
        services.database.close()


def _prepare(services: Services) -> None:
    settings = services.settings
    settings.uploads_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings.store_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    services.tracer.open()
    _ensure_admin(services)
    uploads.remove_leftovers(services.database, settings.uploads_dir)


def _warm_up() -> None:
    """Import torch and all that stands on it while the process answers already.

    What that makes is half a million objects that never go. The collector is told to leave them alone: looking them
    over took a third of a second in which nothing was answered, every now and then.
    """
    importlib.import_module("app.pretrained")
    gc.collect()
    gc.freeze()


def _ensure_admin(services: Services) -> None:
    configured = services.settings.api_key
    if configured:  # an empty one counts as none
        keys.ensure_admin(services.database, configured.get_secret_value())
    elif not keys.any_admin(services.database):
        _, key = keys.create(services.database, "admin", keys.ADMIN)
        sys.stderr.write(f"Admin API key (shown this once): {key}\n")
        sys.stderr.flush()
