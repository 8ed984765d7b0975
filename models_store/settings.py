"""Where the truth is kept. Built once by an entry point and passed down."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class StoreSettings(BaseSettings):
    """Settings that every process needs; each is read from ``FINETUNED_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix="FINETUNED_", extra="ignore", frozen=True)

    data_dir: Path = Path("finetuned-data")
    """Folder of everything that must outlive a restart."""
    database_url: str = ""
    """SQLAlchemy URL; empty means SQLite inside ``data_dir``."""
    storage_url: str = ""
    """``s3://BUCKET/PREFIX``, or ``file:///FOLDER``: the store that machines share; empty: the one in ``data_dir``."""
    storage_endpoint: str = ""
    """URL of an S3-compatible store, ``http://`` for one without TLS; empty means that of AWS."""
    storage_region: str = ""
    """Empty means ``AWS_REGION``, else ``us-east-1``."""
    storage_path_style: bool = True
    """Whether the bucket is named in the path, not in the host."""
    storage_access_key_id: SecretStr | None = None
    """Without it, credentials are found as AWS's tools find them."""
    storage_secret_access_key: SecretStr | None = None
    """Goes with the former."""
    storage_cache_bytes: int = Field(50_000_000_000, ge=0)
    """The most that local copies from a shared store take on this machine's disk, apart from those in use."""
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

    @field_validator("storage_url")
    @classmethod
    def _of_a_known_kind(cls, url: str) -> str:
        """Known at the start, not at the first upload."""
        if url and not url.startswith(("s3://", "file:///")):
            raise ValueError("must be s3://BUCKET/PREFIX or file:///FOLDER, or empty")
        return url

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
