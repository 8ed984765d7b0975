"""What traces and metrics need of a job: its trace, and since when it waits."""

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


def downgrade() -> None:
    op.drop_index("ix_jobs_waiting", table_name="jobs")
    for column in ("trace", "queued_at"):
        op.drop_column("jobs", column)
