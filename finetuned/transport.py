"""Requests to a service, and what its refusals become. Needs httpx alone."""

import ipaddress
import os
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath
from typing import Any, Final
from urllib.parse import unquote

import httpx

from finetuned import keyfile
from finetuned.archive import as_file

Json = dict[str, Any]

DEFAULT_URL: Final = "http://127.0.0.1:8000"
_HOLD_SECONDS: Final = 30
_WATCH_SECONDS: Final = 1
_PATIENCE_SECONDS: Final = 60.0
_PAGE: Final = 100
_NAME_BYTES: Final = 240
"""Of a file's name; file systems take 255."""
_RESTARTING: Final = {0, 502, 503, 504}


class ApiError(Exception):
    """The service refused, or could not be reached (``status`` 0, ``code`` ``unreachable``).

    ``code`` is stable and documented; ``errors`` holds one entry a field where the request was malformed.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        errors: list[Json] | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.errors = errors or []
        self.request_id = request_id

    def __str__(self) -> str:
        fields = [
            f"{'.'.join(str(part) for part in error.get('loc', []))}: {error.get('msg')}" for error in self.errors
        ]
        return "; ".join([f"{self.message} ({self.code})", *fields])


def _id(entry: Json) -> str:
    return str(entry["id"])


class Transport:
    """A pool of connections that speaks the service's conventions: errors, lists, waiting, uploads."""

    def __init__(self, url: str | None, key: str | None, timeout: float) -> None:
        self.url = (url or os.environ.get("FINETUNED_URL") or DEFAULT_URL).rstrip("/")
        local = _is_local(self.url)
        key = key or os.environ.get("FINETUNED_API_KEY")
        if key is None and local:  # a key of this machine is never sent elsewhere
            key = keyfile.read(keyfile.data_dir_from_environment())
        self._hold = max(1, min(_HOLD_SECONDS, int(timeout / 2)))
        self._http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(timeout, connect=10.0),
            trust_env=not local,  # no proxy stands between a machine and itself
        )

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def json(self, method: str, route: str, **options: Any) -> Json:
        """Send, and read the JSON object of a success."""
        response = self.send(method, route, **options)
        try:
            body: Json = response.json()
        except ValueError as error:
            raise ApiError(
                response.status_code, "not_json", f"{self.url} is no finetuned service. Check the URL."
            ) from error
        return body

    def send(self, method: str, route: str, **options: Any) -> httpx.Response:
        """Send; whatever is no success becomes an :class:`ApiError`."""
        response = self.send_unchecked(method, route, **options)
        if not response.is_success:
            raise _api_error(response)
        return response

    def send_unchecked(self, method: str, route: str, **options: Any) -> httpx.Response:
        """Send, and give the answer whatever its status."""
        try:
            return self._http.request(method, route, **options)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    def download(self, route: str, to: Path, params: Json) -> Path:
        """GET a file into ``to``, or under its own name where that is a folder; it appears whole or not at all."""
        try:
            with self._http.stream("GET", route, params=params) as response:
                if not response.is_success:
                    response.read()
                    raise _api_error(response)
                target = to / filename(response.headers.get("Content-Disposition", "")) if to.is_dir() else to
                _write(target, response.iter_bytes())
                return target
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    def pages(self, route: str, cursor: Callable[[Json], str] = _id, **filters: str | None) -> Iterator[Json]:
        """The entries of a list, page by page as they are reached. ``cursor`` names an entry for ``after``."""
        params: Json = {"limit": _PAGE, **given(**filters)}
        while True:
            page = self.json("GET", route, params=params)
            yield from page["data"]
            if not page["has_more"]:
                return
            params["after"] = cursor(page["data"][-1])

    def upload(self, route: str, path: Path, fields: Json) -> Json:
        """POST a file, streamed from disk, with form fields."""
        data = {name: str(value) for name, value in fields.items()}
        headers = {"Prefer": f"wait={self._hold}"}
        with as_file(path) as file, file.open("rb") as content:
            return self.json("POST", route, data=data, files={"file": (file.name, content)}, headers=headers)

    def wait(self, route: str, pending: set[str], on_update: Callable[[Json], None] | None = None) -> Json:
        """Ask until the status is none of ``pending``; an API that is restarted meanwhile is waited for."""
        headers = {"Prefer": f"wait={_WATCH_SECONDS if on_update else self._hold}"}
        while True:
            asked = time.monotonic()
            found = self._patiently("GET", route, headers=headers)
            if on_update is not None:
                on_update(found)
            if found["status"] not in pending:
                return found
            # A proxy may drop the Prefer header: then the answer comes at once, and we must not ask without pause.
            time.sleep(max(0.0, _WATCH_SECONDS / 2 - (time.monotonic() - asked)))

    def _unreachable(self, error: httpx.TransportError) -> ApiError:
        reason = str(error) or type(error).__name__
        message = f"No answer from {self.url}: {reason}. Start it with `finetuned up`, or set FINETUNED_URL."
        return ApiError(0, "unreachable", message)

    def _patiently(self, method: str, route: str, **options: Any) -> Json:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return self.json(method, route, **options)
            except ApiError as error:
                if error.status not in _RESTARTING or time.monotonic() > deadline:
                    raise
                time.sleep(_WATCH_SECONDS)


def filename(disposition: str) -> str:
    """The name that ``Content-Disposition`` gives by RFC 5987, as one that this machine can write."""
    _, told, encoded = disposition.partition("filename*=UTF-8''")
    name = PurePath(unquote(encoded.partition(";")[0])).name if told else ""
    stem, suffix = PurePath(name).stem, PurePath(name).suffix
    cut = stem.encode()[: _NAME_BYTES - len(suffix.encode())].decode(errors="ignore")
    return f"{cut}{suffix}" or "download"


def _write(target: Path, chunks: Iterator[bytes]) -> None:
    part = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as file:
            for chunk in chunks:
                file.write(chunk)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def given(**options: Any) -> Json:
    """What was not left out."""
    return {name: value for name, value in options.items() if value is not None}


def _api_error(response: httpx.Response) -> ApiError:
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        problem = {}
    return ApiError(
        status=response.status_code,
        code=problem.get("code") or f"http_{response.status_code}",
        message=problem.get("detail") or problem.get("title") or f"The service answered {response.status_code}.",
        errors=problem.get("errors"),
        request_id=problem.get("request_id") or response.headers.get("X-Request-ID"),
    )


def _is_local(url: str) -> bool:
    host = httpx.URL(url).host
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
