"""Remove files that no row needs any more: what a crash, a reaped lease or a deleted model has left.

Every rule errs towards keeping: what another process may still be about to name in a row is not touched.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from models_store import registry, unused_trunks
from models_store.artifacts import temporary_directory_beside
from models_store.database.engine import Database
from models_store.database.tables import DatasetRow, JobRow, ModelRow
from models_store.feature_cache import folders
from models_store.jobs import TERMINAL, forget_withdrawn
from models_store.settings import StoreSettings
from models_store.storage.local import LOCAL
from models_store.storage.protocol import Storage

_TRUNKS: Final = "trunks"
TRUNK_GRACE_SECONDS: Final = 86_400.0
"""A trunk that no model stands on may be named by a job that is exporting; using it renews its age."""
IDLE_GRACE_SECONDS: Final = 3600.0
"""So long a trunk is kept at least where no job runs: the next one may want it."""


def tidy(database: Database, settings: StoreSettings, storage: Storage = LOCAL) -> list[Path]:
    """Remove the leftovers; gives what was removed.

    Raises:
        DatabaseUnavailableError: nothing more was removed.
    """
    kept = set(storage.copies())
    with database.read() as session:
        unpublished = registry.unpublished(session, settings.store_dir)
        cards = {path: card for path, card in unpublished.items() if path not in kept}
        leftovers = [
            *_scratch(session, settings.scratch_dir),
            *_models(session, cards),
            *_features(session, settings.store_dir),
        ]
        trunks = [path for path in _trunks(session, settings.store_dir / _TRUNKS, cards) if path not in kept]
    forget_withdrawn(database)
    for path in leftovers:
        _remove(path)
    return leftovers + [path for path in trunks if _removed(database, settings.store_dir, path)]


def _remove(path: Path) -> None:
    """At once for who looks, so that nobody takes half of it for the whole."""
    with contextlib.suppress(OSError), temporary_directory_beside(path) as gone:
        path.rename(gone / path.name)


def _removed(database: Database, store_dir: Path, trunk: Path) -> bool:
    """Remove a trunk that nothing stands on, if no job can be about to: none took it up for long, or none runs."""
    if not _unused_for(trunk, TRUNK_GRACE_SECONDS):
        return unused_trunks.drop(database, store_dir, trunk.name)
    _remove(trunk)
    return True


def _scratch(session: Session, folder: Path) -> Iterator[Path]:
    """Files of attempts at jobs that have ended."""
    return (path for path in _folders(folder) if _ended(session, path.name))


def _models(session: Session, cards: Mapping[Path, dict[str, Any]]) -> Iterator[Path]:
    """Bundles that were never published, or whose deletion was cut off."""
    for path, card in cards.items():
        # In this order: once a job is seen to have ended, the model that it may have published is seen too.
        if _ended(session, str(card.get("job"))) and session.get(ModelRow, path.name) is None:
            yield path


def _trunks(session: Session, folder: Path, unpublished: Mapping[Path, dict[str, Any]]) -> Iterator[Path]:
    """Trunks that no model stands on, and none did lately."""
    for path in _folders(folder):
        if _unused_for(path, IDLE_GRACE_SECONDS) and not unused_trunks.stood_on(session, path.name, unpublished):
            yield path


def _unused_for(trunk: Path, seconds: float) -> bool:
    """Nobody has taken it up for so long."""
    return time.time() - trunk.stat().st_mtime > seconds


def _features(session: Session, store_dir: Path) -> Iterator[Path]:
    """What was computed for data sets that are gone: an attempt that did not know may have stored more of it."""
    for path in folders.sources(store_dir):
        known = select(DatasetRow.id).where(DatasetRow.fingerprint == f"sha256:{path.name}").limit(1)
        if session.scalar(known) is None:
            yield path


def _ended(session: Session, job_id: str) -> bool:
    """A job that this database does not know is none of its business: the folder may belong to another one."""
    row = session.get(JobRow, job_id)
    return row is not None and row.state in TERMINAL


def _folders(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
