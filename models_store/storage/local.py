"""The store in the data folder of the only machine, or in one that machines share as a file system."""

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Final

from models_store import artifacts
from models_store.storage.protocol import Storage, Take


class LocalStorage:
    """See ``Storage``: what is written is there."""

    shared = False

    def using(self, *folders: Path) -> AbstractContextManager[None]:  # noqa: ARG002
        """They are."""
        return nullcontext()

    def hold(self, *folders: Path) -> None:
        """They stay."""

    def there(self, folder: Path) -> bool:
        """Whether it is in the data folder."""
        return folder.is_dir()

    def peek(self, folder: Path, name: str) -> bytes | None:
        """As it is read."""
        with contextlib.suppress(FileNotFoundError):
            return (folder / name).read_bytes()
        return None

    def names(self, kind: str) -> list[str]:  # noqa: ARG002
        """None that would have to be fetched."""
        return []

    def push(self, folder: Path, *, final: Path | None = None, anew: bool = False) -> None:
        """It is where it is seen."""

    def removal(self) -> AbstractContextManager[Take]:
        """Files alone."""
        return artifacts.removal()

    def push_file(self, path: Path) -> None:
        """It is where it is read."""

    def fetch_file(self, path: Path, into: Path, sha256: str) -> Path:  # noqa: ARG002
        """The file itself."""
        return path

    def drop_files(self, path: Path) -> None:
        """There are no others."""

    def copies(self) -> list[Path]:
        """None: all here is the store."""
        return []

    def forget(self, folder: Path) -> bool:  # noqa: ARG002
        """Never."""
        return False

    def settle(self, needed: Callable[[Path], bool]) -> list[Path]:  # noqa: ARG002
        """Nothing is left elsewhere."""
        return []


LOCAL: Final[Storage] = LocalStorage()
