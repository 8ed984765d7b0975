"""Where the truth is kept. Built once by an entry point and passed down."""

from pathlib import Path
from typing import Literal

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
