"""Remove files that no row needs any more: what a crash, a reaped lease or a deleted model has left.

Every rule errs towards keeping: what another process may still be about to name in a row is not touched.
"""

import contextlib
import json
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from models_store.artifacts import temporary_directory_beside
from models_store.database.engine import Database
from models_store.database.tables import DatasetRow, JobRow, ModelRow
from models_store.feature_cache import folders
from models_store.jobs import TERMINAL, forget_withdrawn
from models_store.settings import StoreSettings

_TRUNKS: Final = "trunks"
TRUNK_GRACE_SECONDS: Final = 86_400.0
"""A trunk that no model stands on may be named by a job that is exporting; using it renews its age."""


def tidy(database: Database, settings: StoreSettings) -> list[Path]:
    """Remove the leftovers; gives what was removed.

    Raises:
        DatabaseUnavailableError: nothing more was removed.
    """
    with database.read() as session:
        cards = _unpublished(session, settings.store_dir / "models")
        leftovers = [
            *_scratch(session, settings.scratch_dir),
            *_models(session, cards),
            *_trunks(session, settings.store_dir / _TRUNKS, [card.get("trunk") for card in cards.values()]),
            *_features(session, settings.store_dir),
        ]
    forget_withdrawn(database)
    for path in leftovers:
        _remove(path)
    return leftovers


def _remove(path: Path) -> None:
    """At once for who looks, so that nobody takes half of it for the whole; unless a job has taken it up meanwhile."""
    if path.parent.name == _TRUNKS and not _unused(path):
        return
    with contextlib.suppress(OSError), temporary_directory_beside(path) as gone:
        path.rename(gone / path.name)


def _scratch(session: Session, folder: Path) -> Iterator[Path]:
    """Files of attempts at jobs that have ended."""
    return (path for path in _folders(folder) if _ended(session, path.name))


def _unpublished(session: Session, folder: Path) -> dict[Path, dict[str, Any]]:
    """The cards of bundles that this database does not know; those that it knows may be thousands."""
    published = set(session.scalars(select(ModelRow.id)))
    return {path: _card(path) for path in _folders(folder) if path.name not in published}


def _models(session: Session, cards: Mapping[Path, dict[str, Any]]) -> Iterator[Path]:
    """Bundles that were never published, or whose deletion was cut off."""
    for path, card in cards.items():
        # In this order: once a job is seen to have ended, the model that it may have published is seen too.
        if _ended(session, str(card.get("job"))) and session.get(ModelRow, path.name) is None:
            yield path


def _trunks(session: Session, folder: Path, needed: Collection[str | None]) -> Iterator[Path]:
    """Trunks that no model stands on, and none did lately."""
    if None in needed:
        return  # a bundle that does not tell its trunk may stand on any
    for path in _folders(folder):
        known = select(ModelRow.id).where(ModelRow.trunk == path.name).limit(1)
        if _unused(path) and path.name not in needed and session.scalar(known) is None:
            yield path


def _unused(trunk: Path) -> bool:
    """Nobody has taken it up for long."""
    return time.time() - trunk.stat().st_mtime > TRUNK_GRACE_SECONDS


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


def _card(bundle: Path) -> dict[str, Any]:
    try:
        card: dict[str, Any] = json.loads((bundle / "card.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return card


def _folders(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
