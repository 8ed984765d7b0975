"""Indexes under which a list, a claim or a sweep takes as long with a million jobs as with a thousand."""

from typing import Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.sql.elements import TextClause

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_SHOWN: Final = "kind NOT IN ('import', 'preflight')"
_ACTIVE: Final = "state IN ('queued', 'running')"
_NEVER_RUNG_IS_LONG_AGO: Final = sa.text("coalesce(rung_at, 0.0)")
_PARTIAL: Final[tuple[tuple[str, list[str | TextClause], str], ...]] = (
    ("ix_jobs_shown", ["id"], _SHOWN),
    ("ix_jobs_state", ["state", "id"], _SHOWN),
    ("ix_jobs_owner", ["owner", "id"], _SHOWN),
    ("ix_jobs_owner_state", ["owner", "state", "id"], _SHOWN),
    ("ix_jobs_dataset", ["dataset_id", "id"], _SHOWN),
    ("ix_jobs_dataset_state", ["dataset_id", "state", "id"], _SHOWN),
    ("ix_jobs_owner_dataset", ["owner", "dataset_id", "id"], _SHOWN),
    ("ix_jobs_owner_dataset_state", ["owner", "dataset_id", "state", "id"], _SHOWN),
    ("ix_jobs_active_owner", ["owner", "kind", "state"], _ACTIVE),
    ("ix_jobs_active_dataset", ["dataset_id"], _ACTIVE),
    ("ix_jobs_active_backbone", ["backbone"], _ACTIVE),
    ("ix_jobs_lease", ["lease_until"], "state = 'running'"),
    ("ix_jobs_unrung", [_NEVER_RUNG_IS_LONG_AGO, "id"], "state = 'queued'"),
)
_VALID: Final = sa.text("revoked_at IS NULL")
_VALID_KEYS: Final = (("ix_keys_valid", "id"), ("ix_keys_valid_role", "role"))


def upgrade() -> None:
    op.drop_index("ix_jobs_lease", table_name="jobs")
    op.drop_index("ix_jobs_owner_kind", table_name="jobs")
    op.drop_index("ix_jobs_dataset_id", table_name="jobs")
    for name, columns, condition in _PARTIAL:
        where = sa.text(condition)
        op.create_index(name, "jobs", columns, sqlite_where=where, postgresql_where=where)
    op.create_index("ix_jobs_kind_state", "jobs", ["kind", "state"])
    op.drop_index("ix_datasets_owner", table_name="datasets")
    op.create_index("ix_datasets_owner", "datasets", ["owner", "id"])
    op.create_index("ix_datasets_upload", "datasets", ["upload"])
    for name, column in _VALID_KEYS:
        op.create_index(name, "keys", [column], sqlite_where=_VALID, postgresql_where=_VALID)
    op.create_index("ix_models_name", "models", ["name", "owner"])


def downgrade() -> None:
    op.drop_index("ix_models_name", table_name="models")
    for name, _column in _VALID_KEYS:
        op.drop_index(name, table_name="keys")
    op.drop_index("ix_datasets_upload", table_name="datasets")
    op.drop_index("ix_datasets_owner", table_name="datasets")
    op.create_index("ix_datasets_owner", "datasets", ["owner"])
    op.drop_index("ix_jobs_kind_state", table_name="jobs")
    for name, _columns, _condition in reversed(_PARTIAL):
        op.drop_index(name, table_name="jobs")
    op.create_index("ix_jobs_dataset_id", "jobs", ["dataset_id"])
    op.create_index("ix_jobs_owner_kind", "jobs", ["owner", "kind", "id"])
    op.create_index("ix_jobs_lease", "jobs", ["state", "lease_until"])
