"""Priorities, needs and labels, and the indexes by which a claim finds the owner whose turn it is."""

from typing import Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.sql.elements import TextClause

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_QUEUED: Final = "state = 'queued'"
_RUNNING: Final = "state = 'running'"
_NEVER_RUNG_IS_LONG_AGO: Final = sa.text("coalesce(rung_at, 0.0)")
_INDEXES: Final[tuple[tuple[str, list[str | TextClause], str], ...]] = (
    ("ix_jobs_queue", ["lane", "requires", "priority", "owner", "id"], _QUEUED),
    ("ix_jobs_running", ["lane", "owner"], _RUNNING),
    ("ix_jobs_served", ["lane", "owner", "claimed_at"], "claimed_at IS NOT NULL"),
    ("ix_jobs_untold", ["lane", "requires"], "state = 'queued' AND requires <> '' AND NOT stranded"),
    ("ix_jobs_unrung", [_NEVER_RUNG_IS_LONG_AGO, "id"], "state = 'queued' AND requires = ''"),
    ("ix_jobs_unrung_needy", ["requires", _NEVER_RUNG_IS_LONG_AGO, "id"], "state = 'queued' AND requires <> ''"),
)


def _create(name: str, columns: list[str | TextClause], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, "jobs", columns, sqlite_where=where, postgresql_where=where)


def upgrade() -> None:
    op.add_column("jobs", sa.Column("priority", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("requires", sa.String(length=400), nullable=False, server_default=""))
    op.add_column("jobs", sa.Column("claimed_at", sa.Float(), nullable=True))
    op.add_column("jobs", sa.Column("stranded", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("workers", sa.Column("labels", sa.String(length=1000), nullable=False, server_default=""))
    op.add_column("workers", sa.Column("draining", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.drop_index("ix_jobs_claim", table_name="jobs")
    op.drop_index("ix_jobs_unrung", table_name="jobs")
    for name, columns, condition in _INDEXES:
        _create(name, columns, condition)


def downgrade() -> None:
    for name, _columns, _condition in reversed(_INDEXES):
        op.drop_index(name, table_name="jobs")
    _create("ix_jobs_unrung", [_NEVER_RUNG_IS_LONG_AGO, "id"], _QUEUED)
    op.create_index("ix_jobs_claim", "jobs", ["lane", "state", "id"])
    for column in ("draining", "labels"):
        op.drop_column("workers", column)
    for column in ("stranded", "claimed_at", "requires", "priority"):
        op.drop_column("jobs", column)
