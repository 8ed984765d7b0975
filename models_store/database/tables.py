"""Every table. Times are seconds since 1970 (UTC); JSON columns hold what the API shows."""

from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    ColumnElement,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    TextClause,
    UniqueConstraint,
    literal_column,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Json = dict[str, Any]
_JSON = JSON(none_as_null=True)


# Conditions of partial indexes. A database takes such an index for sure only where a query has its condition in the
# same words, and not as a parameter; so the queries use these very texts.
SHOWN: Final = text("kind NOT IN ('import', 'preflight')")
"""What its owner sees as a job; the others are part of something else."""
PART_OF_A_DATASET: Final = text("kind IN ('import', 'preflight')")
"""The others: they go with their data set."""
ACTIVE: Final = text("state IN ('queued', 'running')")
QUEUED: Final = text("state = 'queued'")
RUNNING: Final = text("state = 'running'")
SERVED: Final = text("claimed_at IS NOT NULL")
"""That some worker has taken it at least once."""
EASY: Final = text("state = 'queued' AND requires = ''")
"""Queued jobs that every worker can run …"""
NEEDY: Final = text("state = 'queued' AND requires <> ''")
"""… and those that only some can."""
UNTOLD: Final = text("state = 'queued' AND requires <> '' AND NOT stranded")
"""Jobs with needs whose owners were not told yet that no worker meets them."""
VALID: Final = text("revoked_at IS NULL")
"""Of keys."""
RUNG_LAST: Final[ColumnElement[float]] = literal_column("coalesce(rung_at, 0.0)", Float)
"""When a message was last sent for the row; long ago where none was."""


def _partial(name: str, *columns: str | ColumnElement[Any], where: TextClause) -> Index:
    return Index(name, *columns, sqlite_where=where, postgresql_where=where)


class Base(DeclarativeBase):
    """Base of the mapped classes; JSON by annotation."""

    type_annotation_map = {Json: _JSON, list[Json]: _JSON}  # noqa: RUF012 - SQLAlchemy's own form


class KeyRow(Base):
    """An API key, stored as the SHA-256 of its 256 random bits."""

    __tablename__ = "keys"
    __table_args__ = (
        _partial("ix_keys_valid", "id", where=VALID),
        _partial("ix_keys_valid_role", "role", where=VALID),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    owner: Mapped[str] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(String(10))
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    prefix: Mapped[str] = mapped_column(String(12))
    created_at: Mapped[float] = mapped_column(Float)
    revoked_at: Mapped[float | None] = mapped_column(Float)


class SessionRow(Base):
    """A browser that has signed in with a key, by the SHA-256 of the 256 random bits that its cookie holds."""

    __tablename__ = "sessions"
    __table_args__ = (Index("ix_sessions_expires", "expires_at"),)

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    key_id: Mapped[str] = mapped_column(String(40))
    created_at: Mapped[float] = mapped_column(Float)
    expires_at: Mapped[float] = mapped_column(Float)


class DatasetRow(Base):
    """A data set: what its owner named it, and, once imported, which content it has."""

    __tablename__ = "datasets"
    __table_args__ = (Index("ix_datasets_owner", "owner", "id"), Index("ix_datasets_created", "created_at"))

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    owner: Mapped[str] = mapped_column(String(200))
    name: Mapped[str] = mapped_column(String(200))
    status: Mapped[str] = mapped_column(String(12))
    """processing, ready, failed"""
    task: Mapped[str | None] = mapped_column(String(40))
    options: Mapped[Json] = mapped_column()
    """What the import was asked: task, validation_fraction, seed, split, filename."""
    upload: Mapped[str | None] = mapped_column(String(200), index=True)
    """Name of the file in the uploads folder until the import has ended."""
    upload_sha256: Mapped[str] = mapped_column(String(64))
    classes: Mapped[list[Json]] = mapped_column()
    splits: Mapped[Json] = mapped_column()
    fingerprint: Mapped[str | None] = mapped_column(String(80), index=True)
    bytes: Mapped[int] = mapped_column(BigInteger)
    problems: Mapped[list[Json]] = mapped_column()
    """What was left out or must be acted on: item, code, message."""
    warnings: Mapped[list[Json]] = mapped_column()
    """What else may matter, in the same form."""
    error: Mapped[Json | None] = mapped_column()
    created_at: Mapped[float] = mapped_column(Float)


class JobRow(Base):
    """A piece of durable work. The row is the truth; a Celery message only rings the bell."""

    __tablename__ = "jobs"
    # One index for each combination of filters that a list may have, in the list's order, so that no page is searched
    # for or sorted; small ones over the rows that have not ended; and what is counted for /metrics.
    __table_args__ = (
        _partial("ix_jobs_queue", "lane", "requires", "priority", "owner", "id", where=QUEUED),
        _partial("ix_jobs_running", "lane", "owner", where=RUNNING),
        _partial("ix_jobs_served", "lane", "owner", "claimed_at", where=SERVED),
        _partial("ix_jobs_untold", "lane", "requires", where=UNTOLD),
        _partial("ix_jobs_waiting", "lane", "queued_at", where=QUEUED),
        _partial("ix_jobs_shown", "id", where=SHOWN),
        _partial("ix_jobs_state", "state", "id", where=SHOWN),
        _partial("ix_jobs_owner", "owner", "id", where=SHOWN),
        _partial("ix_jobs_owner_state", "owner", "state", "id", where=SHOWN),
        _partial("ix_jobs_dataset", "dataset_id", "id", where=SHOWN),
        _partial("ix_jobs_dataset_state", "dataset_id", "state", "id", where=SHOWN),
        _partial("ix_jobs_owner_dataset", "owner", "dataset_id", "id", where=SHOWN),
        _partial("ix_jobs_owner_dataset_state", "owner", "dataset_id", "state", "id", where=SHOWN),
        _partial("ix_jobs_active_owner", "owner", "kind", "state", where=ACTIVE),
        _partial("ix_jobs_active_dataset", "dataset_id", where=ACTIVE),
        _partial("ix_jobs_active_backbone", "backbone", where=ACTIVE),
        _partial("ix_jobs_lease", "lease_until", where=RUNNING),
        _partial("ix_jobs_unrung", RUNG_LAST, "id", where=EASY),
        _partial("ix_jobs_unrung_needy", "requires", RUNG_LAST, "id", where=NEEDY),
        Index("ix_jobs_kind_state", "kind", "state"),
        _partial("ix_jobs_internal_dataset", "dataset_id", where=PART_OF_A_DATASET),
        Index("ix_jobs_finished", "finished_at"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    """fine_tune, import, evaluate, preflight"""
    lane: Mapped[str] = mapped_column(String(10))
    """training (one a device) or light (imports and other short work)"""
    owner: Mapped[str] = mapped_column(String(200))
    name: Mapped[str] = mapped_column(String(200))
    dataset_id: Mapped[str] = mapped_column(String(40))
    backbone: Mapped[str | None] = mapped_column(String(200))
    request: Mapped[Json] = mapped_column()
    """The body as it was sent, for retry."""
    config: Mapped[Json] = mapped_column()
    """The body with every default resolved."""
    extra: Mapped[Json] = mapped_column("metadata")
    """The user's own key and value pairs."""

    priority: Mapped[int] = mapped_column(Integer, default=0)
    requires: Mapped[str] = mapped_column(String(400), default="")
    """What a worker must offer; see :func:`models_store.labels.needed`."""

    state: Mapped[str] = mapped_column(String(12))
    """queued, running, succeeded, failed, cancelled"""
    attempt: Mapped[int] = mapped_column(Integer, default=0)
    fence: Mapped[int] = mapped_column(Integer, default=0)
    barren: Mapped[int] = mapped_column(Integer, default=0)
    """Attempts that ended without progress since the last progress; capped."""
    lease_owner: Mapped[str | None] = mapped_column(String(200))
    lease_until: Mapped[float | None] = mapped_column(Float)
    cancel_requested: Mapped[bool] = mapped_column(Boolean, default=False)
    rung_at: Mapped[float | None] = mapped_column(Float)
    """When a message was last sent for this row."""
    claimed_at: Mapped[float | None] = mapped_column(Float)
    """When a worker last took it: by this, owners take turns."""
    stranded: Mapped[bool] = mapped_column(Boolean, default=False)
    """Whether its owner was told that no live worker can run it."""
    queued_at: Mapped[float] = mapped_column(Float)
    """When it came into the queue, for the first time or again."""
    trace: Mapped[str | None] = mapped_column(String(55))
    """The span that has asked for it, as a ``traceparent``: so all attempts at it are in one trace."""

    decision: Mapped[Json | None] = mapped_column()
    progress: Mapped[Json | None] = mapped_column()
    metrics: Mapped[Json | None] = mapped_column()
    best: Mapped[Json | None] = mapped_column()
    checkpoint: Mapped[Json | None] = mapped_column()
    result: Mapped[Json | None] = mapped_column()
    error: Mapped[Json | None] = mapped_column()
    created_at: Mapped[float] = mapped_column(Float)
    started_at: Mapped[float | None] = mapped_column(Float)
    finished_at: Mapped[float | None] = mapped_column(Float)


class EventRow(Base):
    """Append-only history of a job."""

    __tablename__ = "events"
    __table_args__ = (Index("ix_events_job", "job_id", "id"),)

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    type: Mapped[str] = mapped_column(String(12))
    """status, progress, metrics, log"""
    data: Mapped[Json] = mapped_column()
    created_at: Mapped[float] = mapped_column(Float)


class EpochRow(Base):
    """The metrics of one epoch; a resumed attempt writes the same epoch again."""

    __tablename__ = "epochs"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    epoch: Mapped[int] = mapped_column(Integer, primary_key=True)
    metrics: Mapped[Json] = mapped_column()


class ModelRow(Base):
    """A published model. ``job_id`` is unique: a job publishes once."""

    __tablename__ = "models"
    __table_args__ = (
        UniqueConstraint("owner", "name", "version"),
        Index("ix_models_owner", "owner", "id"),
        Index("ix_models_name", "name", "owner"),
        Index("ix_models_dataset", "dataset_id"),
        Index("ix_models_created", "created_at"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    owner: Mapped[str] = mapped_column(String(200))
    name: Mapped[str] = mapped_column(String(200))
    version: Mapped[int] = mapped_column(Integer)
    job_id: Mapped[str] = mapped_column(String(40), unique=True)
    dataset_id: Mapped[str] = mapped_column(String(40))
    task: Mapped[str] = mapped_column(String(40))
    backbone: Mapped[str] = mapped_column(String(200))
    trunk: Mapped[str] = mapped_column(String(64), index=True)
    card: Mapped[Json] = mapped_column()
    bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[float] = mapped_column(Float)


class AliasRow(Base):
    """A name of the owner's for one version of a model, such as ``production``; moved, never copied."""

    __tablename__ = "aliases"

    owner: Mapped[str] = mapped_column(String(200), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    """The model's name."""
    alias: Mapped[str] = mapped_column(String(64), primary_key=True)
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"), index=True)
    moved_at: Mapped[float] = mapped_column(Float)


class CheckpointRow(Base):
    """An uploaded checkpoint, stored as tensors alone; see :mod:`models_store.checkpoints`."""

    __tablename__ = "checkpoints"
    __table_args__ = (Index("ix_checkpoints_owner", "owner", "id"), Index("ix_checkpoints_created", "created_at"))

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    owner: Mapped[str] = mapped_column(String(200))
    name: Mapped[str] = mapped_column(String(200))
    architecture: Mapped[str] = mapped_column(String(200))
    """The backbone, as jobs name it, whose keys and shapes fit a part of it."""
    submodules: Mapped[list[Json]] = mapped_column()
    """Its parts: name, number of tensors and of values, and whether the architecture fits."""
    sha256: Mapped[str] = mapped_column(String(64))
    bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[float] = mapped_column(Float)


class WorkerRow(Base):
    """A worker process that was seen lately."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(String(200), primary_key=True)
    lane: Mapped[str] = mapped_column(String(10))
    device: Mapped[str] = mapped_column(String(200))
    labels: Mapped[str] = mapped_column(String(1000), default="")
    """What it offers; see :mod:`models_store.labels`."""
    draining: Mapped[bool] = mapped_column(Boolean, default=False)
    """Whether it takes no further job."""
    gpu_memory: Mapped[Json | None] = mapped_column()
    """Bytes of its machine's GPUs: used, total."""
    started_at: Mapped[float] = mapped_column(Float)
    seen_at: Mapped[float] = mapped_column(Float)


class CounterRow(Base):
    """What somebody has counted; see :mod:`models_store.counters`."""

    __tablename__ = "counters"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    label: Mapped[str] = mapped_column(String(40), primary_key=True)
    counted_by: Mapped[str] = mapped_column(String(200), primary_key=True)
    """The worker, or nothing."""
    value: Mapped[int] = mapped_column(BigInteger)


class IdempotencyRow(Base):
    """What an ``Idempotency-Key`` stood for."""

    __tablename__ = "idempotency"
    __table_args__ = (Index("ix_idempotency_object", "object_id"),)

    owner: Mapped[str] = mapped_column(String(200), primary_key=True)
    route: Mapped[str] = mapped_column(String(40), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    body_sha256: Mapped[str] = mapped_column(String(64))
    object_id: Mapped[str] = mapped_column(String(40))
    created_at: Mapped[float] = mapped_column(Float)


class AuditRow(Base):
    """Who did what; see :mod:`models_store.audit`."""

    __tablename__ = "audit"
    __table_args__ = (
        Index("ix_audit_owner", "owner", "id"),
        Index("ix_audit_action", "action", "id"),
        Index("ix_audit_owner_action", "owner", "action", "id"),
        Index("ix_audit_created", "created_at"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    actor: Mapped[str] = mapped_column(String(200))
    """The owner of the key that was used."""
    role: Mapped[str] = mapped_column(String(10))
    key_id: Mapped[str | None] = mapped_column(String(40))
    action: Mapped[str] = mapped_column(String(30))
    object: Mapped[str] = mapped_column(String(500))
    owner: Mapped[str] = mapped_column(String(200))
    """Whose object it was; empty where it was everybody's."""
    request_id: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[float] = mapped_column(Float)
