"""A store that machines share: S3, or what speaks its protocol. What this machine reads of it is a copy in its cache.

Keys are the paths below the data folder, without ``store/``. A folder is there from the moment its manifest is, which
is written last and goes first: see :mod:`models_store.storage.manifest`.
"""

import contextlib
import errno
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from models_store import artifacts
from models_store.artifacts import publish_directory, sha256_file, temporary_directory_beside
from models_store.errors import StorageUnavailableError, UnavailableError
from models_store.storage import leftovers, manifest, trash
from models_store.storage.bucket import Bucket
from models_store.storage.cache import KINDS, MARK, Cache
from models_store.storage.leftovers import PASSING
from models_store.storage.manifest import File, Manifest
from models_store.storage.protocol import Take

_TRIES: Final = 5
"""How often a folder may be replaced while it is fetched."""


class SharedStorage:
    """See ``Storage``."""

    shared = True

    def __init__(self, bucket: Bucket, data_dir: Path, cache: Cache) -> None:
        self.bucket, self._data_dir, self._cache = bucket, data_dir, cache
        self._held: dict[Path, int] = {}

    @contextmanager
    def using(self, *folders: Path) -> Iterator[None]:
        """See ``Storage``."""
        with ExitStack() as stack:
            for folder in folders:
                descriptor = self._taken(folder)
                if descriptor is not None:
                    stack.callback(os.close, descriptor)
            yield

    def hold(self, *folders: Path) -> None:
        """See ``Storage``."""
        for folder in folders:
            if folder in self._held or (descriptor := self._taken(folder)) is None:
                continue
            if self._held.setdefault(folder, descriptor) != descriptor:  # another thread was sooner
                os.close(descriptor)

    def there(self, folder: Path) -> bool:
        """See ``Storage``."""
        return self._manifest(self._key(folder)) is not None

    def peek(self, folder: Path, name: str) -> bytes | None:
        """See ``Storage``."""
        with contextlib.suppress(FileNotFoundError):  # the copy that is here
            return (folder / name).read_bytes()
        key = self._key(folder)
        for _ in range(_TRIES):
            found = self._manifest(key)
            if found is None or name not in found.files:
                return None
            with TemporaryDirectory() as temporary, contextlib.suppress(FileNotFoundError):
                content = Path(temporary) / "content"
                self.bucket.fetch(found.key(key, name), content, found.files[name].sha256)
                return content.read_bytes()
        raise StorageUnavailableError

    def names(self, kind: str) -> list[str]:
        """See ``Storage``."""
        parts = (one.key.split("/") for one in self.bucket.list(kind))
        return sorted({name for _kind, name, *rest in parts if rest == [manifest.NAME]})

    def push(self, folder: Path, *, final: Path | None = None, anew: bool = False) -> None:
        """See ``Storage``."""
        key = self._key(final or folder)
        known = self._manifest(key)
        if known is None or anew or (_inner(key) and not (folder / MARK).exists()):
            self._upload(key, folder)
            if known is not None:
                self.bucket.delete(known.keys(key))
        if not (folder / MARK).exists():
            self._cache.mark(folder)
            self._cache.make_room(0)

    @contextmanager
    def removal(self) -> Iterator[Take]:
        """See ``Storage``.

        A manifest is moved out of sight while rows may still be rolled back, and files go once they cannot. Whoever is
        killed between leaves the manifest in ``trash/``, where :mod:`models_store.storage.leftovers` decides by the
        rows. Copies that are in use on this machine are left to :func:`models_store.tidy.tidy`.
        """
        self.bucket.answers()  # if it does not, that is better met before a transaction than within
        hidden: list[str] = []
        taken: list[Path] = []
        with artifacts.removal() as take_here:

            def take(path: Path) -> None:
                if self._is_shared(path):
                    trash.hide(self.bucket, self._key(path), hidden)
                else:
                    take_here(path)
                taken.append(path)

            try:
                yield take
            except BaseException:
                with contextlib.suppress(UnavailableError):
                    for one in hidden:
                        trash.restore(self.bucket, one)
                raise
        for path in taken:
            if self._is_shared(path):
                self.forget(path)
        with contextlib.suppress(UnavailableError):  # logged; what is left goes with the next tidying
            for one in hidden:
                trash.purge(self.bucket, one)
            for path in taken:
                self.drop_files(path)

    def push_file(self, path: Path) -> None:
        """See ``Storage``."""
        self.bucket.answers()  # large ones have more patience
        self.bucket.put_file(self._key(path), path)

    def fetch_file(self, path: Path, into: Path, sha256: str) -> Path:
        """See ``Storage``."""
        part = into.with_name(f".{into.name}.part")
        with _disk_errors():
            into.parent.mkdir(parents=True, exist_ok=True)
            part.unlink(missing_ok=True)
            self.bucket.fetch(self._key(path), part, sha256)
            part.rename(into)
        return into

    def drop_files(self, path: Path) -> None:
        """See ``Storage``."""
        key = self._key(path)
        if key.startswith(PASSING):
            self.bucket.delete([one.key for one in self.bucket.list(key)] or [key])

    def copies(self) -> list[Path]:
        """See ``Storage``."""
        return self._cache.copies()

    def forget(self, folder: Path) -> bool:
        """See ``Storage``."""
        self._released(folder)
        return self._cache.drop(folder)

    def settle(self, needed: Callable[[Path], bool]) -> list[Path]:
        """See ``Storage``."""
        return [self._path(name) for name in leftovers.settle(self.bucket, lambda name: needed(self._path(name)))]

    def _taken(self, folder: Path) -> int | None:
        """The lock of a copy, which is fetched where need be; None where there is no such folder anywhere."""
        descriptor = self._cache.taken(folder)
        while descriptor is None and self._fetched(folder):
            descriptor = self._cache.taken(folder)  # unless somebody has already made room with it
        return descriptor

    def _released(self, folder: Path) -> None:
        """Hold a folder no longer: it is deleted. What this process has mapped of it stays readable."""
        if (descriptor := self._held.pop(folder, None)) is not None:
            os.close(descriptor)

    def _fetched(self, folder: Path) -> bool:
        with self._cache.alone(folder), _disk_errors():
            for _ in range(_TRIES):
                if folder.is_dir():  # by another process, for which this one has waited
                    return True
                found = self._manifest(self._key(folder))
                if found is None:
                    return False
                with contextlib.suppress(FileNotFoundError):  # replaced or deleted meanwhile: look again
                    self._download(folder, found)
                    return True
        raise StorageUnavailableError

    def _download(self, folder: Path, found: Manifest) -> None:
        self._cache.make_room(found.size)
        with temporary_directory_beside(folder) as temporary:
            for name, file in found.files.items():
                (temporary / name).parent.mkdir(parents=True, exist_ok=True)
                self.bucket.fetch(found.key(self._key(folder), name), temporary / name, file.sha256)
            self._cache.mark(temporary)
            publish_directory(temporary, folder)

    def _upload(self, key: str, folder: Path) -> None:
        """Store the files, then the manifest.

        Raises:
            FileNotFoundError: the folder was removed.
        """
        files = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
        told = {name: File(sha256_file(path), path.stat().st_size) for name, path in files.items()}
        mine = Manifest(f"{int(time.time())}-{secrets.token_hex(8)}", told)
        try:
            for name, path in files.items():
                self.bucket.put_file(mine.key(key, name), path)
            self.bucket.put(f"{key}/{manifest.NAME}", mine.written())
        except StorageUnavailableError:
            with contextlib.suppress(StorageUnavailableError):
                self.bucket.delete(mine.keys(key))
            raise
        if (last := self._manifest(key)) is not None and last.token != mine.token:
            self.bucket.delete(mine.keys(key))  # somebody has stored the same at the same time

    def _manifest(self, key: str) -> Manifest | None:
        content = self.bucket.get(f"{key}/{manifest.NAME}")
        return None if content is None else Manifest.read(content)

    def _key(self, path: Path) -> str:
        return path.relative_to(self._data_dir).as_posix().removeprefix("store/")

    def _path(self, key: str) -> Path:
        return self._data_dir / key if key.startswith(PASSING) else self._data_dir / "store" / key

    def _is_shared(self, path: Path) -> bool:
        """Whether it is ``store/KIND/NAME`` of a kind that other machines see."""
        kind, _, name = self._key(path).partition("/")
        return kind in KINDS and "/" not in name


def _inner(key: str) -> bool:
    """Whether it is a folder in another one, which is not named by what it holds: a new one replaces the old one."""
    return key.count("/") > 1


def _files(folder: Path) -> list[Path]:
    """What belongs to a folder itself: in that of a trunk lie its graph, a folder of its own, and passing things."""
    if not folder.is_dir():
        raise FileNotFoundError(folder)
    found = folder.iterdir() if folder.parent.name == "trunks" else folder.rglob("*")
    return sorted(path for path in found if path.is_file() and path.name != MARK and not path.name.endswith(".part"))


@contextmanager
def _disk_errors() -> Iterator[None]:
    """Tell a full disk apart.

    Raises:
        UnavailableError: ``no_space``.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        message = "The disk has no room for a copy of what is needed. Ask the operator for space."
        raise UnavailableError("no_space", message) from error
