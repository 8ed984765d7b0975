"""What traces and metrics need: a job's trace, since when it waits, counts that last, the memory of GPUs."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("queued_at", sa.Float(), nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("trace", sa.String(length=55), nullable=True))
    op.execute("UPDATE jobs SET queued_at = created_at")
    where = sa.text("state = 'queued'")
    op.create_index("ix_jobs_waiting", "jobs", ["lane", "queued_at"], sqlite_where=where, postgresql_where=where)
    op.add_column("workers", sa.Column("gpu_memory", sa.JSON(none_as_null=True), nullable=True))
    op.create_table(
        "counters",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("label", sa.String(length=40), nullable=False),
        sa.Column("counted_by", sa.String(length=200), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", "label", "counted_by"),
    )


def downgrade() -> None:
    op.drop_table("counters")
    op.drop_column("workers", "gpu_memory")
    op.drop_index("ix_jobs_waiting", table_name="jobs")
    for column in ("trace", "queued_at"):
        op.drop_column("jobs", column)
