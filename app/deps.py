"""What endpoints are given: the services of this process, the caller, and the forms that many routes share."""

import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Generic, TypeVar

from fastapi import Depends, Header, Path, Query, Request, Security
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ConfigDict, Field

from app.auth import Authenticator
from app.operating.telemetry import Telemetry
from app.predictions.pool import ModelPool
from app.predictions.predicting import Predicting
from app.predictions.stepping import Stepping
from app.queue import Bell
from app.settings import AppSettings
from models_store import audit, keys
from models_store.database.engine import Database
from models_store.errors import ForbiddenError
from models_store.keys import Caller
from models_store.spans import Tracer
from models_store.storage.protocol import Storage

if TYPE_CHECKING:  # torch takes seconds to import; see app.pretrained
    from app.pretrained import Predictor

T = TypeVar("T")


@dataclass(frozen=True)
class Services:
    """Everything that lives as long as the process."""

    settings: AppSettings
    database: Database
    authenticator: Authenticator
    bell: Bell
    pool: "ModelPool[Predictor]"
    predicting: Predicting
    stepping: Stepping
    telemetry: Telemetry
    tracer: Tracer
    storage: Storage
    stopping: threading.Event
    """Set when the process is asked to end: streams and waits then end by themselves."""


# Coroutines, though they wait for nothing: FastAPI sends plain functions through its threads, at a hop for each.
async def _services(request: Request) -> Services:
    services = request.app.state.services
    assert isinstance(services, Services)  # noqa: S101 - set by create_app
    return services


_bearer: Final = HTTPBearer(auto_error=False, description="An API key; see POST /keys.")


async def _caller(request: Request, _documented: Annotated[Any, Security(_bearer)]) -> Caller:
    caller = request.state.caller  # the guard has looked the key up before the body was read
    assert isinstance(caller, Caller)  # noqa: S101 - set by the guard
    return caller


async def _admin(caller: Annotated[Caller, Depends(_caller)]) -> Caller:
    if caller.role != keys.ADMIN:
        raise ForbiddenError("admin_only", "Only an admin may do this. Use an admin's key.")
    return caller


ServicesDep = Annotated[Services, Depends(_services)]
CallerDep = Annotated[Caller, Depends(_caller)]
AdminDep = Annotated[Caller, Depends(_admin)]


async def _actor(request: Request, caller: CallerDep) -> audit.Actor:
    return audit.Actor(caller.owner, caller.role, str(request.state.request_id), caller.key or None)


ActorDep = Annotated[audit.Actor, Depends(_actor)]
"""Who the audit log names."""
PreferHeader = Annotated[
    str | None,
    Header(
        max_length=1000,
        description="`wait=N`: hold the answer until the work is over or N ≤ 60 seconds passed.",
        examples=["wait=2"],
    ),
]
IdempotencyKey = Annotated[
    str | None,
    Header(min_length=1, max_length=255, description="The same key and body give the same object."),
]


IdPath = Annotated[str, Path(max_length=300, description="Id of the object.")]


class Closed(BaseModel):
    """A request whose unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PageQuery(Closed):
    """Which part of a list is wanted."""

    limit: int = Field(20, ge=1, le=100)
    after: str | None = Field(None, max_length=300, description="Id of the last object that you have.")


PageDep = Annotated[PageQuery, Query()]


class Page(BaseModel, Generic[T]):
    """A part of a list."""

    data: list[T]
    has_more: bool


Time = Annotated[str, Field(json_schema_extra={"format": "date-time"}, examples=["2025-01-31T12:00:00.000Z"])]


def rfc3339(seconds: float) -> str:
    """Seconds since 1970 as RFC 3339 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def rfc3339_or_none(seconds: float | None) -> str | None:
    """As :func:`rfc3339`, for times that may not have come yet."""
    return None if seconds is None else rfc3339(seconds)
