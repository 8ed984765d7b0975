"""Objects by their keys, in S3 or in a folder, through obstore: it repeats requests that fail, and parts of large ones.

Whatever the size of an object, some tens of megabytes of it are in memory.
"""

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final
from urllib.parse import unquote, urlsplit

import obstore
import structlog
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, S3Store

from models_store.errors import StorageUnavailableError, UnavailableError
from models_store.settings import StoreSettings

if TYPE_CHECKING:  # obstore has it for checkers of types alone
    from obstore.store import S3Config

_PART: Final = 16 * 2**20
_PARTS: Final = 9_000
"""S3 takes 10,000 parts an object."""
_AT_ONCE: Final = 4
_RANGE: Final = 8 * 2**20
_REQUEST_SECONDS: Final = 10
_PART_SECONDS: Final = 60
"""At 2.2 Mbit/s."""
_log = structlog.get_logger()


@dataclass(frozen=True)
class Listed:
    """An object in a list."""

    key: str
    written_at: float
    """By the store's clock, in seconds since 1970."""


class Bucket:
    """A store of objects. Its methods may be called from several threads at once.

    Args:
        bulk: the same store, with more time for a request.
        moved: is called after every part of a large object.
        secrets: never shown, whatever the store says.
    """

    def __init__(
        self, store: ObjectStore, bulk: ObjectStore, moved: Callable[[], None], secrets: Iterable[str] = ()
    ) -> None:
        self._store, self._bulk, self._moved = store, bulk, moved
        self._secrets = [secret for secret in secrets if secret]

    @classmethod
    def of(cls, settings: StoreSettings, patience: float, moved: Callable[[], None]) -> "Bucket":
        """The one that the settings name; see :func:`models_store.storage.opening.opened`."""
        url = urlsplit(settings.storage_url)
        if url.scheme == "file":
            folder = LocalStore(unquote(url.path), automatic_cleanup=True, mkdir=True)
            return cls(folder, folder, moved)
        quick = _s3(settings, patience, _REQUEST_SECONDS)
        bulk = _s3(settings, max(patience, _PART_SECONDS), _PART_SECONDS)
        given = (settings.storage_access_key_id, settings.storage_secret_access_key)
        environment = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        secrets = [secret.get_secret_value() for secret in given if secret]
        return cls(quick, bulk, moved, [*secrets, *(os.environ.get(name, "") for name in environment)])

    def put(self, key: str, content: bytes) -> None:
        """Write an object at once."""
        with self._told("put", key):
            obstore.put(self._store, key, content)

    def put_file(self, key: str, path: Path) -> None:
        """Write an object from a file; a large one in parts."""
        size = path.stat().st_size
        part = max(_PART, size // _PARTS + 1)
        with self._told("put", key), path.open("rb") as file:
            content = self._parts(file, part) if size > part else file.read()
            obstore.put(self._bulk, key, content, chunk_size=part, max_concurrency=_AT_ONCE)

    def get(self, key: str) -> bytes | None:
        """A small object; None where there is none."""
        try:
            with self._told("get", key, missing=True):
                return bytes(obstore.get(self._store, key).bytes())
        except FileNotFoundError:
            return None

    def fetch(self, key: str, path: Path, sha256: str) -> None:
        """Write an object to a new file, which is durable then.

        Raises:
            FileNotFoundError: there is no such object.
            UnavailableError: ``storage_damaged``, its bytes have another hash, also at a second try.
        """
        for _ in range(2):
            if self._written(key, path) == sha256:
                return
            path.unlink()
            _log.error("storage_damaged", key=key)
        message = "What the artifact store has is not what was stored in it. Restore it from a backup."
        raise UnavailableError("storage_damaged", message)

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; those that are not there are none."""
        given = list(keys)
        if not given:
            return
        try:
            with self._told("delete", given[0], missing=True):
                obstore.delete(self._store, given)
        except FileNotFoundError:  # a folder minds, and has not come to the others
            for key in given:
                with contextlib.suppress(FileNotFoundError), self._told("delete", key, missing=True):
                    obstore.delete(self._store, key)

    def answers(self) -> None:
        """Return soon if requests are answered.

        Raises:
            StorageUnavailableError: they are not.
        """
        self.get("none")

    def move(self, key: str, to: str) -> None:
        """Give an object another key, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            with self._told("copy", key, missing=True):
                obstore.copy(self._store, key, to)
            self.delete([key])

    def list(self, prefix: str) -> Iterator[Listed]:
        """All objects below ``prefix/``; of the whole store, where it is empty."""
        with self._told("list", prefix):
            for page in obstore.list(self._store, prefix=prefix or None):
                yield from (Listed(str(one["path"]), one["last_modified"].timestamp()) for one in page)

    def _parts(self, file: BinaryIO, part: int) -> Iterator[bytes]:
        while chunk := file.read(part):
            yield chunk
            self._moved()

    def _written(self, key: str, path: Path) -> str:
        """In ranges, each of which is asked for again where it fails; gives the hash of what came."""
        with self._told("get", key, missing=True):
            size = obstore.head(self._store, key)["size"]
        digest = hashlib.sha256()
        with path.open("xb") as file:
            for start in range(0, size, _RANGE):
                with self._told("get", key, missing=True):
                    part = obstore.get_range(self._bulk, key, start=start, length=min(_RANGE, size - start))
                file.write(part)
                digest.update(part)
                self._moved()
            file.flush()
            os.fsync(file.fileno())
        return digest.hexdigest()

    @contextmanager
    def _told(self, doing: str, key: str, *, missing: bool = False) -> Iterator[None]:
        """Tell what went wrong to the log, in the store's own words, and to the caller that it can be done again.

        Args:
            missing: whether there may be no such object; where not, it is the bucket that is not there.
        """
        try:
            yield
        except FileNotFoundError as error:
            if missing:
                raise
            self._log_failure(doing, key, error)
        except (BaseError, ValueError) as error:
            self._log_failure(doing, key, error)
        else:
            return
        raise StorageUnavailableError

    def _log_failure(self, doing: str, key: str, error: Exception) -> None:
        reason = str(error).partition("\n\nDebug source")[0]
        for secret in self._secrets:
            reason = reason.replace(secret, "…")
        _log.warning("storage_failed", doing=doing, key=key, kind=type(error).__name__, reason=reason)


def _s3(settings: StoreSettings, patience: float, seconds: float) -> S3Store:
    """What is not set is left to AWS's own variables, and to the roles of the machine."""
    url = urlsplit(settings.storage_url)
    config: S3Config = {"virtual_hosted_style_request": not settings.storage_path_style}
    if settings.storage_endpoint:
        config["endpoint"] = settings.storage_endpoint
    if settings.storage_region:
        config["region"] = settings.storage_region
    if settings.storage_access_key_id and settings.storage_secret_access_key:
        config["access_key_id"] = settings.storage_access_key_id.get_secret_value()
        config["secret_access_key"] = settings.storage_secret_access_key.get_secret_value()
    return S3Store(
        url.netloc,
        prefix=unquote(url.path).strip("/") or None,
        config=config,
        client_options={
            "allow_http": settings.storage_endpoint.startswith("http://"),
            "connect_timeout": timedelta(seconds=5),
            "timeout": timedelta(seconds=seconds),
        },
        retry_config={"retry_timeout": timedelta(seconds=patience), "max_retries": 100},
    )
