"""Whose key is it? Answers are kept for some seconds; a revocation in this process counts at once.

Whoever sends many wrong keys is not listened to for a while: then an address gets in with keys alone that were right
in this process before, so that others behind the same proxy go on.
"""

import hashlib
import time

from anyio import CapacityLimiter, to_thread

from app.rates import Buckets, too_many
from models_store import keys
from models_store.database.engine import Database
from models_store.errors import UnauthorizedError
from models_store.keys import Caller

_MAX_KNOWN = 1024
_MAX_ONCE_RIGHT = 65_536


class Authenticator:
    """Looks keys up off the event loop, in threads of its own: slow endpoints cannot delay a refusal."""

    def __init__(self, database: Database, cache_seconds: float, wrong_keys: Buckets | None = None) -> None:
        self._database = database
        self._wrong_keys = Buckets(0, 60.0) if wrong_keys is None else wrong_keys  # one without entries is false
        self._once_right: set[str] = set()
        self._cache_seconds = cache_seconds
        self._known: dict[str, tuple[float, Caller]] = {}
        self._limiter = CapacityLimiter(4)

    async def authenticate(self, authorization: str | None, address: str = "") -> Caller:
        """Tell who sent this ``Authorization`` header, from this address.

        Raises:
            UnauthorizedError: ``missing_key`` or ``invalid_key``.
            TooManyError: ``too_many_requests``, many wrong keys came from there.
            UnavailableError: the database does not answer.
        """
        key = _bearer(authorization)
        digest = hashlib.sha256(key.encode()).hexdigest()
        until, caller = self._known.get(digest, (0.0, None))
        if caller is not None and time.monotonic() < until:
            return caller
        waiting = 0.0 if digest in self._once_right else self._wrong_keys.wait(address)
        if waiting:
            raise too_many(waiting, "Too many wrong keys came from this address.")
        try:
            return await self._look_up(key, digest)
        except UnauthorizedError:
            self._wrong_keys.take(address)
            raise

    def forget(self) -> None:
        """Look every key up again: one was revoked."""
        self._known = {}

    async def _look_up(self, key: str, digest: str) -> Caller:
        known = self._known  # a revocation meanwhile puts another dict in its place: then this answer is not kept
        caller = await to_thread.run_sync(keys.authenticate, self._database, key, limiter=self._limiter)
        if len(known) >= _MAX_KNOWN:
            known.clear()
        known[digest] = (time.monotonic() + self._cache_seconds, caller)
        if len(self._once_right) < _MAX_ONCE_RIGHT:
            self._once_right.add(digest)
        return caller


def _bearer(authorization: str | None) -> str:
    scheme, _, key = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise UnauthorizedError("missing_key", "This needs an API key. Send it as `Authorization: Bearer KEY`.")
    return key.strip()
