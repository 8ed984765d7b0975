"""Settings of the HTTP service; each is read from ``FINETUNED_<NAME>``."""

from typing import Final

from pydantic import Field, SecretStr

from models_store.settings import StoreSettings

MAX_INPUTS: Final = 65_536
"""The most inputs that one prediction request may be allowed to have."""


class AppSettings(StoreSettings):
    """What the HTTP service needs beside the store. Sizes are bytes, times are seconds."""

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    redis_url: str = "redis://127.0.0.1:6379/0"
    """The broker; ``redis+socket:///path`` for a unix socket."""
    api_key: SecretStr | None = None
    """This key is an admin's at every start; if unset and no admin exists, one is made and printed once."""

    max_upload_bytes: int = 20 * 10**9
    """Largest body of an upload (data sets, weights)."""
    max_json_bytes: int = 64 * 10**6
    """Largest body of a prediction; what else takes JSON takes 256 KiB, or this where it is less."""
    max_head_bytes: int = Field(64 * 2**10, ge=2**10)
    """Largest request line and headers together; within a few kilobytes."""
    head_seconds: float = Field(30.0, gt=0)
    """A request line and headers that take longer to come are given up, and idle connections that brought none."""
    body_silence_seconds: float = 30.0
    """A body of which nothing arrives for this long is given up."""
    body_grace_seconds: float = 60.0
    """From here on a body must have come at ``body_min_rate`` on average."""
    body_min_rate: float = 1024.0
    """Bytes a second."""
    max_active_jobs: int = 500
    """Queued and running jobs of one owner, imports included."""
    max_requests_per_second: int = Field(2_000, ge=0)
    """Of one key, to this process; as many at once. 0 here and below: any number."""
    max_starts_per_minute: int = Field(600, ge=0)
    """Requests of one key that start work or bring an upload; as many at once."""
    max_wrong_keys_per_minute: int = Field(300, ge=0)
    """Of one client's address; then unknown keys from there are refused unseen."""

    max_prediction_inputs: int = Field(1024, ge=1, le=MAX_INPUTS)
    max_waiting_predictions: int = 64
    """Requests that may wait for the model; more are answered 503."""
    prediction_timeout_seconds: float = 60.0
    """A prediction that waits longer for its turn is given up."""
    max_loaded_bytes: int = 8 * 2**30
    """Memory of loaded models; beyond it the longest unused leave. One model is kept however large it is."""
    session_seconds: float = Field(7 * 86_400.0, gt=0)
    """A browser that has signed in is signed out after this time."""
    key_cache_seconds: float = 3.0
    """How long another process's revocation of a key may stay unnoticed."""
