"""Whom a client talks to, and with which key: the same for both clients."""

import ipaddress
import os
from dataclasses import dataclass
from typing import Any, Final

import httpx

from finetuned import keyfile
from finetuned.client.effects import Call, Service

DEFAULT_URL: Final = "http://127.0.0.1:8000"
PATIENCE_SECONDS: Final = 60.0
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
