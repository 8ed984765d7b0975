"""What is deleted by its age, where the operator wants it so: as its owner would, and told in the audit log."""

import contextlib
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Select, exists, select
from sqlalchemy.orm import InstrumentedAttribute

from models_store import audit, checkpoints, datasets, jobs, registry
from models_store.database.engine import Database, seconds_ago
from models_store.database.tables import ACTIVE, SHOWN, AliasRow, CheckpointRow, DatasetRow, JobRow, ModelRow
from models_store.errors import ConflictError, NotFoundError
from models_store.settings import StoreSettings
from models_store.storage.local import LOCAL
from models_store.storage.protocol import Storage

_DAY: Final = 86_400.0
_AT_ONCE: Final = 100
"""Of each kind in one round; the next one goes on."""
_NOT_ALIASED: Final = ~exists().where(AliasRow.model_id == ModelRow.id)
# What cannot go is not among the oldest: a hundred of it would hold up all the rest.
_NO_JOBS_DATASET: Final = ~exists().where(JobRow.dataset_id == DatasetRow.id, ACTIVE)
_NO_JOBS_CHECKPOINT: Final = ~exists().where(JobRow.backbone == "checkpoint/" + CheckpointRow.id, ACTIVE)
Moment = InstrumentedAttribute[float] | InstrumentedAttribute[float | None]


def apply(database: Database, settings: StoreSettings, storage: Storage = LOCAL) -> None:
    """Delete what is older than the settings allow; 0 days keeps it.

    Jobs count from their end, all else from its beginning. What is in use stays: data sets and checkpoints that a
    queued or running job needs, models with an alias.

    Raises:
        DatabaseUnavailableError: nothing more was deleted.
    """
    old_jobs = select(JobRow.id).where(SHOWN)
    old_models = select(ModelRow.id).where(_NOT_ALIASED)
    old_checkpoints = select(CheckpointRow.id).where(_NO_JOBS_CHECKPOINT)
    old_datasets = select(DatasetRow.id).where(_NO_JOBS_DATASET)
    for days, query, moment, delete in (
        (settings.retain_ended_jobs_days, old_jobs, JobRow.finished_at, jobs.delete),
        (settings.retain_models_days, old_models, ModelRow.created_at, registry.delete),
        (settings.retain_checkpoints_days, old_checkpoints, CheckpointRow.created_at, checkpoints.delete),
        (settings.retain_datasets_days, old_datasets, DatasetRow.created_at, datasets.delete),
    ):
        for old in _older(database, query, moment, days) if days else ():
            with contextlib.suppress(ConflictError, NotFoundError):  # it is in use, or was deleted meanwhile
                delete(database, settings.store_dir, old, owner=None, storage=storage)
    if settings.retain_audit_days:
        audit.forget(database, older_than_seconds=settings.retain_audit_days * _DAY)


def _older(database: Database, query: Select[str], moment: Moment, days: int) -> Sequence[str]:
    """Ids of the oldest."""
    with database.read() as session:
        return session.scalars(query.where(moment < seconds_ago(days * _DAY)).order_by(moment).limit(_AT_ONCE)).all()
