"""Whom a client talks to, and with which key: the same for both clients."""

import ipaddress
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import httpx

from finetuned import keyfile
from finetuned.client.effects import Call, Service

S = TypeVar("S")

DEFAULT_URL: Final = "http://127.0.0.1:8000"
_PATIENCE_SECONDS: Final = 60.0
_CONNECT_SECONDS: Final = 10.0
_HOLD_SECONDS: Final = 30


@dataclass(frozen=True)
class Target:
    """An address, a key, and how long to wait."""

    url: str
    key: str | None
    timeout: float
    patience: float

    @classmethod
    def found(cls, url: str | None, key: str | None, timeout: float, patience: float) -> "Target":
        """What was given, else what the environment says, else what ``finetuned up`` left on this machine."""
        url = (url or os.environ.get("FINETUNED_URL") or DEFAULT_URL).rstrip("/")
        key = key or os.environ.get("FINETUNED_API_KEY") or None
        if key is None and _is_local(url):  # a key of this machine is never sent elsewhere
            key = keyfile.read(keyfile.data_dir_from_environment())
        return cls(url, key, timeout, patience)

    @property
    def service(self) -> Service:
        """The service before its first answer."""
        hold = max(1, min(_HOLD_SECONDS, int(self.timeout / 2)))
        return Service(self.url, hold, self.patience)

    @property
    def options(self) -> dict[str, Any]:
        """Of httpx's clients."""
        return {
            "base_url": self.url,
            "headers": {"Authorization": f"Bearer {self.key}"} if self.key else {},
            "timeout": httpx.Timeout(self.timeout, connect=_CONNECT_SECONDS),
            "trust_env": not _is_local(self.url),  # no proxy stands between a machine and itself
        }


class Connected(Generic[S]):
    """A client's address and its session.

    Args:
        url: of the service; else ``FINETUNED_URL``, else this machine's port 8000.
        key: API key; else ``FINETUNED_API_KEY``, else, for a service on this machine only, the key that
            ``finetuned up`` left in ``FINETUNED_DATA_DIR`` or ``./finetuned-data``.
        timeout: seconds without a byte after which a request is given up.
        patience: seconds for which a request that may be repeated is tried again while the service is away or busy.

    Every method raises :class:`ApiError`.
    """

    _opened: Callable[[Target], S]

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        timeout: float = 120.0,
        patience: float = _PATIENCE_SECONDS,
    ) -> None:
        target = Target.found(url, key, timeout, patience)
        self.url = target.url
        self.session = type(self)._opened(target)


def request_options(call: Call) -> dict[str, Any]:
    """Of ``build_request``, but for a body, which flows differently in the two clients."""
    options: dict[str, Any] = {"params": call.params, "json": call.json, "headers": call.headers}
    if call.body is not None:
        options["headers"] = {**call.headers, **call.body.headers}
    if call.read_seconds is not None:
        options["timeout"] = httpx.Timeout(call.read_seconds, connect=_CONNECT_SECONDS)
    return options


def _is_local(url: str) -> bool:
    host = httpx.URL(url).host
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
