"""What the rest of the service asks of a store."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

Take = Callable[[Path], None]
"""Take a file or folder away, at the end of the block; see :func:`models_store.artifacts.removal`."""


class Storage(Protocol):
    """Folders under ``store/`` are named by what they hold; other machines see them once they are pushed.

    All methods raise ``StorageUnavailableError`` where the store does not answer, and may then be called again. What
    the store does not have is no error: whoever reads then finds no file, as ever.
    """

    @property
    def shared(self) -> bool:
        """Whether the store is elsewhere, and what is on this machine a copy."""

    def using(self, *folders: Path) -> AbstractContextManager[None]:
        """Have these folders here for as long as the block lasts.

        Raises:
            UnavailableError: ``storage_damaged``, what came is not what was stored; ``no_space`` for a copy.
        """

    def hold(self, *folders: Path) -> None:
        """As :meth:`using`, until this process ends."""

    def there(self, folder: Path) -> bool:
        """Whether the store has this folder."""

    def peek(self, folder: Path, name: str) -> bytes | None:
        """A small file of a folder, which need not come here for it; None where there is none.

        Raises:
            UnavailableError: ``storage_damaged``, as :meth:`using`.
        """

    def names(self, kind: str) -> list[str]:
        """The folders ``store/KIND/NAME`` that the store has."""

    def push(self, folder: Path, *, final: Path | None = None, anew: bool = False) -> None:
        """Let other machines see a finished folder, whole or not at all; without ``anew`` only if none is there.

        Args:
            final: the name under which it is to be seen, if it still lies elsewhere here.
        """

    def removal(self) -> AbstractContextManager[Take]:
        """As :func:`models_store.artifacts.removal`, for the store and for what is here."""

    def push_file(self, path: Path) -> None:
        """Let other machines see a file that lies outside ``store/``."""

    def fetch_file(self, path: Path, into: Path, sha256: str) -> Path:
        """Where that file can be read here: ``path`` itself, or a copy of it, ``into``.

        Raises:
            FileNotFoundError: there is no such file.
            UnavailableError: as :meth:`using`.
        """

    def drop_files(self, path: Path) -> None:
        """Take such a file, or all below such a folder, out of a shared store; files here are left to the caller."""

    def copies(self) -> list[Path]:
        """Folders here that can be had again from the store."""

    def forget(self, folder: Path) -> bool:
        """Remove such a copy unless it is in use; tells whether it is gone."""

    def settle(self, needed: Callable[[Path], bool]) -> list[Path]:
        """End what processes that were killed have begun in a shared store.

        Args:
            needed: whether a row needs a folder or file.

        Returns:
            What has been in the store for so long that a row should need it.
        """
