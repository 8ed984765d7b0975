"""The operator's own copies of pretrained weights, for machines without a hub."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from models_store.artifacts import publish_directory, sha256_file, temporary_directory_beside, write_atomic
from models_store.backbones import FAMILIES, split_name
from models_store.errors import ConflictError, InvalidError, NotFoundError
from models_store.storage.local import LOCAL
from models_store.storage.protocol import Storage

_ENTRY: Final = "entry.json"
_FILES: Final = "files"


@dataclass(frozen=True)
class MirrorEntry:
    """``weights`` is the concrete name; ``bytes`` and ``sha256`` are of the stored files; ``added_at`` is RFC 3339.

    ``mapped`` tells how the names in the source were matched to the library's.
    """

    backbone: str
    weights: str
    sha256: str
    bytes: int
    mapped: str
    added_at: str


class Mirror:
    """``<store_dir>/weights/``: an entry is a backbone and a weights name, which decides the preprocessing too."""

    def __init__(self, store_dir: Path, storage: Storage = LOCAL) -> None:
        self.store_dir = store_dir
        self._storage = storage
        self._root = store_dir / "weights"

    def check(self, backbone: str, weights: str) -> None:
        """Refuse names that cannot be, before a file is looked at.

        Raises:
            InvalidError: ``unknown_backbone`` or ``unknown_weights``.
        """
        family, name = split_name(backbone)
        FAMILIES[family].check(name, weights)

    def add(self, backbone: str, weights: str, source: Path) -> MirrorEntry:
        """Check ``source`` against the architecture and store it under the library's own names, whole or not at all.

        ``source`` is a ``.safetensors``, ``.pth`` or ``.pt`` file, or, for ``hf/…``, a folder or a zip of one. Adding
        the same again changes nothing.

        Raises:
            InvalidError: unknown names; ``weights_mismatch``, ``unsafe_weights`` or ``unreadable_weights``.
            ConflictError: ``weights_exist``, others are there under these names.
        """
        family, name = split_name(backbone)
        FAMILIES[family].check(name, weights)
        if not source.exists():
            raise InvalidError("unreadable_weights", f"There is nothing at {source}. Give a file or folder that is.")
        concrete = FAMILIES[family].resolve(name, weights)
        final = self.directory(backbone, concrete)
        with temporary_directory_beside(final) as temporary:
            files = temporary / _FILES
            files.mkdir()
            mapped = FAMILIES[family].convert(name, concrete, source, files)
            now = datetime.now(UTC).isoformat(timespec="seconds")
            entry = MirrorEntry(backbone, concrete, _sha256(files), _bytes(files), mapped, now)
            write_atomic(temporary / _ENTRY, json.dumps(asdict(entry), indent=2).encode())
            publish_directory(temporary, final)
        return self._unless_other(entry)

    def get(self, backbone: str, weights: str) -> MirrorEntry | None:
        """The entry of these names (``DEFAULT`` means the concrete name behind it), where there is one."""
        return self._entry(self._directory(backbone, weights))

    @contextmanager
    def fetched(self, backbone: str, weights: str) -> Iterator[None]:
        """Have what another machine has added under these names here, so that nothing else is added in the block."""
        directory = self._directory(backbone, weights)
        if directory in self._storage.copies() and not self._storage.there(directory):
            self._storage.forget(directory)  # what another machine has removed
        with self._storage.using(directory):
            yield

    def path(self, backbone: str, weights: str) -> Path | None:
        """Folder of the stored files, for a family that loads them; ``weights`` is the concrete name."""
        directory = self.directory(backbone, weights)
        self._storage.hold(directory)
        files = directory / _FILES
        return files if files.is_dir() else None

    def peek(self, backbone: str, weights: str, name: str) -> bytes | None:
        """A small one of the stored files; ``weights`` is the concrete name."""
        return self._storage.peek(self.directory(backbone, weights), f"{_FILES}/{name}")

    def list(self) -> list[MirrorEntry]:
        """All entries by name."""
        if self._storage.shared:  # which is asked, as what is here may have been removed elsewhere
            directories = [self._root / name for name in self._storage.names("weights")]
        else:
            directories = list(self._root.glob("[0-9a-f]*"))
        found = [self._entry(directory) for directory in directories]
        return sorted((entry for entry in found if entry), key=lambda entry: (entry.backbone, entry.weights))

    def remove(self, backbone: str, weights: str) -> None:
        """Take an entry out. Models that were trained from it stay as they are.

        Raises:
            NotFoundError: ``weights_not_found``.
        """
        entry = self.get(backbone, weights)
        if entry is None:
            message = f"The mirror has no {weights} of {backbone}. See finetuned weights list."
            raise NotFoundError("weights_not_found", message)
        with self._storage.removal() as take:
            take(self.directory(entry.backbone, entry.weights))

    def share(self, entry: MirrorEntry) -> None:
        """Let other machines have an entry."""
        self._storage.push(self.directory(entry.backbone, entry.weights))

    def directory(self, backbone: str, weights: str) -> Path:
        """Where an entry lies; ``weights`` is the concrete name."""
        # a hash, because what users typed must never become a path
        return self._root / hashlib.sha256(f"{backbone}\n{weights}".encode()).hexdigest()

    def _directory(self, backbone: str, weights: str) -> Path:
        family, name = split_name(backbone)
        FAMILIES[family].check(name, weights)
        return self.directory(backbone, FAMILIES[family].resolve(name, weights))

    def _unless_other(self, entry: MirrorEntry) -> MirrorEntry:
        """What is stored now under the names of ``entry``: itself, or the same weights from an earlier time."""
        stored = self._entry(self.directory(entry.backbone, entry.weights))
        if stored is None or stored.sha256 != entry.sha256:
            message = f"The mirror has other weights {entry.weights} of {entry.backbone}. Remove those first."
            raise ConflictError("weights_exist", message)
        return stored

    def _entry(self, directory: Path) -> MirrorEntry | None:
        content = self._storage.peek(directory, _ENTRY)
        return None if content is None else MirrorEntry(**json.loads(content))


def _contents(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _sha256(folder: Path) -> str:
    listing = "".join(f"{sha256_file(path)} {path.relative_to(folder).as_posix()}\n" for path in _contents(folder))
    return hashlib.sha256(listing.encode()).hexdigest()


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in _contents(folder))
