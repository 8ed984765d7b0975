"""The two forms in which a model is downloaded."""

from collections.abc import Iterator
from pathlib import Path
from typing import IO

from models_store.database.tables import DatasetRow, ModelRow
from models_store.exchange import archive, checkpoint
from models_store.exchange.contents import members
from models_store.exchange.source import read


def as_zip(row: ModelRow, dataset: DatasetRow | None, store_dir: Path) -> Iterator[bytes]:
    """The bytes of the zip in chunks; whatever can be wrong with the stored files is found before the first.

    Raises:
        UnavailableError: ``trunk_missing`` or ``trunk_damaged``.
        OSError: the model's own files are gone.
    """
    return archive.stream(members(read(row, dataset, store_dir)), row.created_at)


def write_checkpoint(row: ModelRow, dataset: DatasetRow | None, store_dir: Path, file: IO[bytes]) -> None:
    """Write the Lightning checkpoint.

    Raises:
        UnavailableError, OSError: as :func:`as_zip`; also where ``file`` cannot be written.
    """
    checkpoint.write(read(row, dataset, store_dir), file)
