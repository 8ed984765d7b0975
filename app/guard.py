"""What stands in front of the application, and sees every request and answer.

Request ids, keys before bodies, limits on rate, size and pace, headers for browsers, the last resort.

FastAPI reads a body before its dependencies run, and uvicorn waits for one without end; so these checks are plain ASGI.
"""

import asyncio
import re
import time
import uuid
from collections.abc import Callable
from typing import Final, Never

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import errors, tracing
from app.auth import Authenticator
from app.headers import secured
from app.rates import Rates
from app.settings import AppSettings
from app.web import cookies, refusals
from models_store.errors import FinetunedError, InvalidError, TooLargeError
from models_store.keys import Caller
from models_store.spans import Tracer

OPEN_PATHS: Final = frozenset(
    {"/healthz", "/readyz", "/readyz/api", "/v2/health/live", "/v2/health/ready", "/openapi.json", "/docs", "/login"}
)
OPEN_PREFIXES: Final = ("/docs/", "/static/")
UPLOAD_PATHS: Final = frozenset({"/datasets", "/weights", "/checkpoints"})
INPUT_PATHS: Final = re.compile(r"/predict|/ui/predict|/v2/models/.+/infer|/hf/models/.+")
_PLAIN_BYTES: Final = 2**18
"""Of a body that brings no data, such as a job's: reading it holds up the event loop."""
_SANE_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LINGER_SECONDS: Final = 1.0
_LINGER_BYTES: Final = 32 * 2**20
_log = structlog.get_logger()

Observer = Callable[[Scope, int, float], None]
"""Hears of every answer: scope, status, seconds."""


class BodyRefusedError(Exception):
    """The body broke a limit while it came; the answer is settled by the guard."""


class Guard:
    """ASGI middleware; see the module."""

    def __init__(
        self, app: ASGIApp, settings: AppSettings, authenticator: Authenticator, observe: Observer, tracer: Tracer
    ) -> None:
        self._app, self._settings, self._authenticator, self._observe = app, settings, authenticator, observe
        self._tracer = tracer
        self._rates = Rates(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer an HTTP request; let everything else (lifespan) through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope).get("x-request-id", ""))
        scope.setdefault("state", {})["request_id"] = request_id
        exchange = _Exchange(scope, receive, send, self._settings)
        started = time.monotonic()
        traced = tracing.request(self._tracer, scope)
        with structlog.contextvars.bound_contextvars(request_id=request_id), traced as span:
            await self._answer(scope, exchange)
            seconds = time.monotonic() - started
            self._observe(scope, exchange.status, seconds)
            if span is not None:
                tracing.answered(span, scope, exchange.status)
            _log.info(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=exchange.status,
                milliseconds=round(seconds * 1000, 1),
            )

    async def _answer(self, scope: Scope, exchange: "_Exchange") -> None:
        try:
            await self._admit(scope, exchange)
            await self._app(scope, exchange.receive, exchange.send)
        except FinetunedError as error:
            await exchange.reply(refusals.answer(scope, error))
        except ClientDisconnect:
            _log.info("client_left")
        except BodyRefusedError:
            pass  # settled below, as it is when the application made another error of this one
        except Exception:  # noqa: BLE001 - the last resort: nothing of the inside may reach the client
            await exchange.fail()
        await exchange.settle()

    async def _admit(self, scope: Scope, exchange: "_Exchange") -> None:
        headers = Headers(scope=scope)
        if scope["path"] not in OPEN_PATHS and not scope["path"].startswith(OPEN_PREFIXES):
            caller = await self._caller(scope, headers)
            self._rates.check(caller, scope["method"], scope["path"])
            scope["state"]["caller"] = caller
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            raise InvalidError("nul_character", "The address contains a NUL character. Leave it out.")
        exchange.check_declared(headers.get("content-length"))

    async def _caller(self, scope: Scope, headers: Headers) -> Caller:
        """By a key, or by the cookie of a browser that has signed in with one; a key that is sent counts."""
        address = (scope.get("client") or ("",))[0]
        authorization, token = headers.get("authorization"), cookies.session_token(headers)
        if authorization is not None or token is None:
            return await self._authenticator.authenticate(authorization, address)
        caller = await self._authenticator.authenticate_session(token, address)
        cookies.check(scope["method"], headers, token)
        return caller


class _Exchange:
    """One request and its answer: counts and times what comes, and makes sure that one answer goes out."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, settings: AppSettings) -> None:
        self._scope, self._receive, self._send, self._settings = scope, receive, send, settings
        self.request_id = errors.request_id(scope)
        self._limit = _limit(scope, settings)
        self._got = 0
        self._whole = not _has_body(Headers(scope=scope))
        self._began: float | None = None
        self._refusal: Response | None = None
        self.status = 0

    def check_declared(self, length: str | None) -> None:
        """Refuse by the header alone, before anything is read.

        Raises:
            TooLargeError: ``body_too_large``.
        """
        if length is not None and length.isdigit() and int(length) > self._limit:
            raise self._too_large()

    async def receive(self) -> Message:
        """Receive under the limits.

        Raises:
            BodyRefusedError: too much came, or too little for too long.
        """
        if self._refusal is not None:
            raise BodyRefusedError
        if self._whole:
            return await self._receive()
        message = await self._next()
        self._note(message)
        if self._got > self._limit:
            self._refuse_body(errors.refusal(self._too_large(), request_id=self.request_id))
        return message

    async def _next(self) -> Message:
        self._began = self._began or time.monotonic()
        try:
            async with asyncio.timeout(self._settings.body_silence_seconds):
                message = await self._receive()
        except TimeoutError:
            self._refuse_body(self._too_slow())
        past_grace = time.monotonic() - self._began - self._settings.body_grace_seconds
        if past_grace > 0 and self._got < past_grace * self._settings.body_min_rate:
            self._refuse_body(self._too_slow())
        return message

    def _note(self, message: Message) -> None:
        self._got += len(message.get("body", b""))
        self._whole = message["type"] != "http.request" or not message.get("more_body", False)

    def _refuse_body(self, refusal: Response) -> Never:
        self._refusal = refusal
        raise BodyRefusedError

    async def send(self, message: Message) -> None:
        """Send the application's answer; when the body was refused, that refusal is the answer instead."""
        if self._refusal is not None and not self.status:
            return
        if message["type"] == "http.response.start":
            self.status = message["status"]
            MutableHeaders(scope=message)["X-Request-ID"] = self.request_id
            message["headers"] = secured(message["headers"])
        await self._send(message)

    async def settle(self) -> None:
        """Send the refusal of the body, if there is one and nothing was sent before."""
        if self._refusal is not None and not self.status:
            await self.reply(self._refusal)

    async def fail(self) -> None:
        """Answer for a fault of ours (called where the exception is handled)."""
        if self._refusal is not None and not self.status:
            return
        _log.exception("unhandled")
        if self.status:
            raise ConnectionAbortedError("the answer had begun already")  # the server then closes the connection
        await self.reply(errors.internal(request_id=self.request_id))

    async def reply(self, response: Response) -> None:
        """Answer in place of the application; a client that is still sending is heard out for a moment."""
        response = errors.spoken(response, self._scope)
        self.status = response.status_code
        response.headers["X-Request-ID"] = self.request_id
        if not self._whole:
            response.headers["Connection"] = "close"
        await self._send(
            {"type": "http.response.start", "status": self.status, "headers": secured(response.raw_headers)}
        )
        await self._send({"type": "http.response.body", "body": bytes(response.body), "more_body": True})
        await self._linger()
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _linger(self) -> None:
        """Closing a connection while the other side sends would reset it, and the answer could be lost with it."""
        most = self._got + _LINGER_BYTES
        try:
            async with asyncio.timeout(_LINGER_SECONDS):
                while not self._whole and self._got < most:
                    self._note(await self._receive())
        except TimeoutError:
            return

    def _too_large(self) -> TooLargeError:
        return TooLargeError("body_too_large", f"The body has more than {self._limit:,} bytes. Send a smaller one.")

    def _too_slow(self) -> Response:
        detail = "The body came too slowly or stopped coming. Send it again over a better connection."
        return errors.problem(408, "body_too_slow", detail, request_id=self.request_id)


def _request_id(given: str) -> str:
    return given if _SANE_ID.fullmatch(given) else uuid.uuid4().hex


def _has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _limit(scope: Scope, settings: AppSettings) -> int:
    """By the path alone: a method that it does not have is refused as such, and its body is not read."""
    path = scope["path"].rstrip("/")
    if path in UPLOAD_PATHS:
        return settings.max_upload_bytes
    return settings.max_json_bytes if INPUT_PATHS.fullmatch(path) else min(settings.max_json_bytes, _PLAIN_BYTES)
