"""More models of one's own making: copies of a published one, each a bundle and a row as a job would leave them."""

import shutil
from pathlib import Path

from models_store import ids, registry
from models_store.artifacts import publish_directory, temporary_directory_beside
from models_store.database.engine import Database
from models_store.settings import StoreSettings


def copies(data_dir: Path, model: str, count: int) -> list[str]:
    """Publish so many copies in the store of a service that runs; gives their names."""
    settings = StoreSettings(data_dir=data_dir)
    database = Database(settings.resolved_database_url)
    try:
        return [_copy(database, settings.store_dir, model) for _ in range(count)]
    finally:
        database.close()


def _copy(database: Database, store_dir: Path, model: str) -> str:
    name = ids.new("mdl")
    final = registry.directory(store_dir, name)
    with temporary_directory_beside(final) as temporary:
        shutil.copytree(registry.directory(store_dir, model), temporary, dirs_exist_ok=True)
        publish_directory(temporary, final)
    with database.write() as session:
        given = registry.get(session, model, owner=None)
        fields = registry.NewModel.__dataclass_fields__
        same = {field: getattr(given, field) for field in fields}
        registry.publish(session, registry.NewModel(**{**same, "id": name, "job_id": ids.new("job")}))
    return name
