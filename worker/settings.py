"""Settings of a worker; each is read from ``FINETUNED_<NAME>``."""

from pathlib import Path

from pydantic import Field, field_validator

from models_store import labels
from models_store.settings import StoreSettings


class WorkerSettings(StoreSettings):
    """What a worker needs beside the store."""

    redis_url: str = "redis://127.0.0.1:6379/0"
    """The broker; ``redis+socket:///path`` for a unix socket."""
    stall_timeout_seconds: float = 900.0
    """A job whose work does not move for this long fails as ``stalled``."""
    max_job_seconds: float = Field(604_800.0, gt=0)
    """A job whose attempts have run for this long, together, fails as ``time_limit``."""
    checkpoint_interval_seconds: float = 60.0
    """At most this much training time is lost to a crash; every epoch's end is a checkpoint too."""
    standby: bool = True
    """Keep a process that has imported torch and Lightning ready for the next training; off, each waits for its own."""
    feature_cache_bytes: int = 20_000_000_000
    """The most that the features of frozen backbones take on disk, least recently used first to go; 0: not kept."""
    worker_labels: str = ""
    """What jobs may require of this worker, such as ``a100,memory=64g``; ``cpu``, and ``gpu``, come by themselves."""
    memory_events: Path | None = None
    """The cgroup's ``memory.events``, where it does not lie in the usual place."""

    @field_validator("worker_labels")
    @classmethod
    def _readable(cls, text: str) -> str:
        """Known at the start, not at the first job."""
        labels.offered(text)
        return text
