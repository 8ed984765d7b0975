"""The report of a model, brought to this machine where it is not here."""

from app.deps import Services
from models_store import registry
from models_store.database.tables import DatasetRow, Json, ModelRow
from models_store.reporting import stored


def report(services: Services, row: ModelRow) -> Json:
    """What was measured when the model was made; nothing of single items whose data set was deleted.

    A copy of it on this machine may be older than the deletion.

    Raises:
        NotFoundError: ``report_not_found``.
        UnavailableError: it cannot be had, see ``Storage.using``.
    """
    directory = registry.directory(services.settings.store_dir, row.id)
    with services.storage.using(directory):
        found = stored.read(directory)
    if not services.storage.shared:
        return found
    with services.database.read() as session:
        known = session.get(DatasetRow, row.dataset_id) is not None
    return found if known else stored.without_items(found)
