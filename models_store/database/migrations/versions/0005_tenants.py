"""The audit log, and indexes by which everything of an object, or of an age, is found for deletion."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_PART_OF_A_DATASET: Final = sa.text("kind IN ('import', 'preflight')")
_INDEXES: Final[tuple[tuple[str, str, list[str]], ...]] = (
    ("ix_audit_owner", "audit", ["owner", "id"]),
    ("ix_audit_action", "audit", ["action", "id"]),
    ("ix_audit_owner_action", "audit", ["owner", "action", "id"]),
    ("ix_audit_created", "audit", ["created_at"]),
    ("ix_datasets_created", "datasets", ["created_at"]),
    ("ix_jobs_finished", "jobs", ["finished_at"]),
    ("ix_models_created", "models", ["created_at"]),
    ("ix_models_dataset", "models", ["dataset_id"]),
    ("ix_checkpoints_created", "checkpoints", ["created_at"]),
    ("ix_idempotency_object", "idempotency", ["object_id"]),
)


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=10), nullable=False),
        sa.Column("key_id", sa.String(length=40), nullable=True),
        sa.Column("action", sa.String(length=30), nullable=False),
        sa.Column("object", sa.String(length=500), nullable=False),
        sa.Column("owner", sa.String(length=200), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    for name, table, columns in _INDEXES:
        op.create_index(name, table, columns)
    op.create_index(
        "ix_jobs_internal_dataset",
        "jobs",
        ["dataset_id"],
        sqlite_where=_PART_OF_A_DATASET,
        postgresql_where=_PART_OF_A_DATASET,
    )


def downgrade() -> None:
    op.drop_index("ix_jobs_internal_dataset", table_name="jobs")
    for name, table, _columns in reversed(_INDEXES):
        op.drop_index(name, table_name=table)
    op.drop_table("audit")
