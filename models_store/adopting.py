"""``python -m models_store.adopting``: give a shared store what this machine's data folder has had to itself.

For an installation that moves to ``FINETUNED_STORAGE_URL``. It may run twice, and while nothing else does.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import select

from models_store.database.engine import Database
from models_store.database.tables import CheckpointRow, DatasetRow, ModelRow
from models_store.settings import StoreSettings
from models_store.storage import Storage, needs, opened


def adopt(database: Database, settings: StoreSettings, storage: Storage) -> int:
    """Send every folder and upload that a row names, and the mirror of weights; gives the number of those found here.

    Raises:
        StorageUnavailableError: what was sent is sent; the next try goes on from there.
    """
    folders = [folder for folder in _folders(database, settings.store_dir) if folder.is_dir()]
    for folder in folders:
        storage.push(folder)
    uploads = [path for path in _uploads(database, settings.uploads_dir) if path.is_file()]
    for path in uploads:
        storage.push_file(path)
    return len(folders) + len(uploads)


def _folders(database: Database, store_dir: Path) -> Iterator[Path]:
    with database.read() as session:
        fingerprints = session.scalars(select(DatasetRow.fingerprint).where(DatasetRow.fingerprint.is_not(None))).all()
        checkpoints = session.scalars(select(CheckpointRow.id)).all()
        models = session.scalars(select(ModelRow.id)).all()
        trunks = session.scalars(select(ModelRow.trunk).distinct()).all()
    yield from (store_dir / "datasets" / str(name).removeprefix("sha256:") for name in fingerprints)
    yield from (store_dir / "checkpoints" / name for name in checkpoints)
    for trunk in trunks:
        yield from needs.of_trunk(store_dir, trunk)
    yield from (store_dir / "models" / name for name in models)
    yield from (store_dir / "weights").glob("[0-9a-f]*")


def _uploads(database: Database, uploads_dir: Path) -> list[Path]:
    with database.read() as session:
        return [uploads_dir / str(name) for name in session.scalars(select(DatasetRow.upload)) if name]


def main() -> int:
    """Entry point."""
    settings = StoreSettings()
    if not settings.storage_url:
        sys.stderr.write("FINETUNED_STORAGE_URL is not set: there is nowhere to send anything.\n")
        return 2
    database = Database(settings.resolved_database_url)
    try:
        count = adopt(database, settings, opened(settings, patience=60.0))
    finally:
        database.close()
    sys.stdout.write(f"The store has all {count} folders and uploads that rows name and that are on this machine.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
