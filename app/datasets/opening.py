"""The items of a data set, brought to this machine where they are not here."""

from collections.abc import Iterator
from contextlib import contextmanager

from app.deps import Services
from models_store import datasets
from models_store.database.tables import DatasetRow
from models_store.itemset import ItemSet


@contextmanager
def items(services: Services, row: DatasetRow) -> Iterator[ItemSet]:
    """The item set of a ready data set, which stays here for as long as the block lasts.

    Raises:
        UnavailableError: ``dataset_files_missing``; or it cannot be had, see ``Storage.using``.
    """
    directory = datasets.directory(services.settings.store_dir, row.fingerprint or "")
    with services.storage.using(directory), ItemSet(directory) as found:
        yield found
