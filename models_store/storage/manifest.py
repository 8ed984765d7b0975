"""What a folder in a shared store consists of: an object that is written last, so the folder is there whole or not.

The files of a folder lie under a token that is new each time, and the manifest names it: whoever writes, replaces or
deletes the folder meanwhile touches other objects.
"""

import json
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, Self

from models_store.errors import UnavailableError

NAME: Final = "manifest.json"


@dataclass(frozen=True)
class File:
    """A file by its content."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """The files of a folder by their relative names."""

    token: str
    files: dict[str, File]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files.values())

    def keys(self, folder: str) -> list[str]:
        """The objects of the files, where ``folder`` is the key of the folder."""
        return [self.key(folder, name) for name in self.files]

    def key(self, folder: str, name: str) -> str:
        """The object of one file."""
        return f"{folder}/{self.token}/{name}"

    def written(self) -> bytes:
        """As the object holds it."""
        files = {name: vars(file) for name, file in self.files.items()}
        return json.dumps({"token": self.token, "files": files}).encode()

    @classmethod
    def read(cls, content: bytes) -> Self:
        """Undo ``written``.

        Raises:
            UnavailableError: ``storage_damaged``, it is none; or its names lead out of the folder.
        """
        try:
            told = json.loads(content)
            files = {str(name): File(str(one["sha256"]), int(one["size"])) for name, one in told["files"].items()}
            found = cls(str(told["token"]), files)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _damaged() from error
        if not all(map(_plain, [found.token, *found.files])):
            raise _damaged()
        return found


def _plain(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\0" not in name


def _damaged() -> UnavailableError:
    message = "A manifest in the artifact store cannot be read. Restore it from a backup."
    return UnavailableError("storage_damaged", message)
