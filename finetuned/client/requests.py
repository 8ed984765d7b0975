"""Requests by the service's conventions: errors, repeating, lists. Nothing here touches the network."""

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeVar
from urllib.parse import quote

import httpx

from finetuned.client.effects import Ask, Call, Feed, Item, Op, Open, Service, Sleep
from finetuned.client.errors import Json, not_json, refusal, unreachable

T = TypeVar("T")

_PAGE: Final = 100
_STRANGER_SECONDS: Final = 2.0
"""For an address that never answered: most likely nothing runs there."""
_FIRST_DELAY: Final = 0.25
_LONGEST_DELAY: Final = 8.0
_NEVER_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout)
_FINAL: Final = (httpx.ReadTimeout, httpx.WriteTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.ProxyError)
_TOO_MANY, _UNAVAILABLE, _PROXY_FAILED = 429, 503, frozenset({502, 504})
_random: Final = secrets.SystemRandom()


class Pace:
    """Whether a call is sent again, and when: never one that may have been done and must not be done twice."""

    def __init__(self, call: Call, service: Service) -> None:
        self._call, self._service = call, service
        self._delay = _FIRST_DELAY
        self._first_failure: float | None = None

    def after_silence(self, error: httpx.TransportError) -> float | None:
        """The pause before the next try; None where there is none. A timeout is the caller's own, and so final."""
        if isinstance(error, _FINAL) or not (self._call.repeatable or isinstance(error, _NEVER_SENT)):
            return None
        patience = self._service.patience_seconds
        return self._pause(None, patience if self._service.met else min(patience, _STRANGER_SECONDS))

    def after_refusal(self, response: httpx.Response) -> float | None:
        """The pause that the service asks for, or ours. Told to come later, a call was not done."""
        told = _retry_after(response)
        later = response.status_code == _TOO_MANY and told is not None
        away = response.status_code == _UNAVAILABLE or response.status_code in _PROXY_FAILED
        if not later and not (away and self._call.repeatable):
            return None
        return self._pause(told, self._service.patience_seconds)

    def _pause(self, told: float | None, patience: float) -> float | None:
        now = time.monotonic()
        self._first_failure = self._first_failure or now
        ours = self._delay * _random.uniform(0.5, 1.0)
        self._delay = min(2 * self._delay, _LONGEST_DELAY)
        pause = ours if told is None else told
        return pause if now + pause <= self._first_failure + patience else None


def _retry_after(response: httpx.Response) -> float | None:
    """In seconds, whether it was given as such or as a date."""
    told = response.headers.get("Retry-After", "")
    if told.isdigit():
        return float(told)
    try:
        return max(0.0, (parsedate_to_datetime(told) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


def send(call: Call, pace: Pace | None = None, *, stream: bool = False) -> Op[httpx.Response]:
    """Send until it is done; whatever is no success becomes an :class:`ApiError`. A stream's body is still to come."""
    service: Service = yield Ask()
    pace = pace or Pace(call, service)
    while True:
        try:
            response: httpx.Response = yield Open(call) if stream else call
        except httpx.TransportError as error:
            pause = pace.after_silence(error)
            if pause is None:
                raise unreachable(service.url, error) from error
        else:
            service.met = True
            if response.is_success:
                return response
            pause = pace.after_refusal(response)
            if pause is None:
                raise refusal(response)
        yield Sleep(pause)


def read(call: Call) -> Op[Json]:
    """Send, and read the JSON object of a success."""
    response = yield from send(call)
    try:
        body: Json = response.json()
    except ValueError as error:
        service: Service = yield Ask()
        raise not_json(response, service.url) from error
    return body


def get(route: str, **params: Any) -> Op[Json]:
    """GET an object."""
    return read(Call("GET", route, params=given(**params), repeatable=True))


def post(route: str, body: Json | None = None, *, repeatable: bool = False, key: str | None = None) -> Op[Json]:
    """POST JSON; with an idempotency key it may be sent again."""
    headers = {"Idempotency-Key": key} if key else {}
    return read(Call("POST", route, json=body, headers=headers, repeatable=repeatable or key is not None))


def delete(route: str, **params: Any) -> Op[None]:
    """DELETE an object."""
    yield from send(Call("DELETE", route, params=given(**params)))


def succeeds(route: str) -> Op[bool]:
    """Whether a GET is answered with a success just now."""
    service: Service = yield Ask()
    try:
        response: httpx.Response = yield Call("GET", route)
    except httpx.TransportError as error:
        raise unreachable(service.url, error) from error
    service.met = True
    return response.is_success


def _id(entry: Json) -> str:
    return str(entry["id"])


def pages(route: str, make: Callable[[Json], T], cursor: Callable[[Json], str] = _id, **filters: Any) -> Feed[T]:
    """The entries of a list, page by page as they are reached. ``cursor`` names an entry for ``after``."""
    after: str | None = None
    while True:
        page = yield from get(route, limit=_PAGE, after=after, **filters)
        for entry in page["data"]:
            yield Item(make(entry))
        if not page["has_more"]:
            return
        after = cursor(page["data"][-1])


def as_it_is(entry: Json) -> Json:
    """An entry of a list of which the session makes objects."""
    return entry


def given(**options: Any) -> Json:
    """What was not left out."""
    return {name: value for name, value in options.items() if value is not None}


def new_key() -> str:
    """An idempotency key for one call and its repetitions."""
    return secrets.token_hex(16)


def part(reference: Any) -> str:
    """One segment of a path, whatever its characters, for an id or an object that has one."""
    return quote(ref(reference), safe="@")


def ref(reference: Any) -> str:
    """The id of an object, or the id itself."""
    return reference if isinstance(reference, str) else str(reference.id)
