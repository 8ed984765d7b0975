"""Where the truth is kept. Built once by an entry point and passed down."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class StoreSettings(BaseSettings):
    """Settings that every process needs; each is read from ``FINETUNED_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix="FINETUNED_", extra="ignore", frozen=True)

    data_dir: Path = Path("finetuned-data")
    """Folder of everything that must outlive a restart."""
    database_url: str = ""
    """SQLAlchemy URL; empty means SQLite inside ``data_dir``."""
    freeze_below: int = 2_000
    """``strategy: auto`` freezes the backbone below this many training examples; from here on a probe decides …"""
    full_from: int = 10_000
    """… and from this many on the whole model is trained."""

    serving_precision: Literal["f32", "auto"] = "f32"
    """``auto``: models are measured at their export, and those that answer alike in bfloat16 are served in it."""

    max_stored_bytes: int = Field(1_000_000_000_000, ge=0)
    """Data sets, checkpoints and models of one owner, together; 0: any number."""
    retain_ended_jobs_days: int = Field(0, ge=0, le=36_500)
    """Jobs that ended longer ago are deleted; 0 here and below: kept until somebody deletes them."""
    retain_datasets_days: int = Field(0, ge=0, le=36_500)
    """Data sets that were uploaded longer ago are deleted, unless a queued or running job needs them."""
    retain_models_days: int = Field(0, ge=0, le=36_500)
    """Models that were made longer ago and have no alias are deleted."""
    retain_checkpoints_days: int = Field(0, ge=0, le=36_500)
    """Checkpoints that were uploaded longer ago are deleted, unless a queued or running job starts from them."""
    retain_audit_days: int = Field(0, ge=0, le=36_500)
    """Older entries of the audit log are deleted."""

    @property
    def resolved_database_url(self) -> str:
        """The database URL, with the embedded default filled in."""
        if self.database_url:
            return self.database_url.replace("postgresql://", "postgresql+psycopg://", 1)
        return f"sqlite:///{self.data_dir.resolve() / 'finetuned.db'}"

    @property
    def store_dir(self) -> Path:
        """Root of the immutable files: data sets, trunks, models, mirrored weights."""
        return self.data_dir.resolve() / "store"

    @property
    def uploads_dir(self) -> Path:
        """Uploads that were accepted and wait for their import."""
        return self.data_dir.resolve() / "uploads"

    @property
    def scratch_dir(self) -> Path:
        """Files of attempts that are running; nothing here is needed once a job has ended."""
        return self.data_dir.resolve() / "scratch"
