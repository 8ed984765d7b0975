"""The store that the settings name."""

from collections.abc import Callable
from typing import Final

from models_store.settings import StoreSettings
from models_store.storage.local import LOCAL
from models_store.storage.protocol import Storage

PATIENCE_SECONDS: Final = 5.0
"""So long a request is tried again by who answers others meanwhile."""


def _nothing() -> None:
    """For who need not be told."""


def opened(
    settings: StoreSettings, patience: float = PATIENCE_SECONDS, moved: Callable[[], None] = _nothing
) -> Storage:
    """The store of these settings; nothing is asked of it yet.

    Args:
        patience: seconds for which a request that fails is tried again.
        moved: is called now and then while something large comes or goes.
    """
    if not settings.storage_url:
        return LOCAL
    # It takes a moment to load, and the embedded form has no use for it.
    from models_store.storage.bucket import Bucket  # noqa: PLC0415
    from models_store.storage.cache import Cache  # noqa: PLC0415
    from models_store.storage.shared import SharedStorage  # noqa: PLC0415

    cache = Cache(settings.store_dir, settings.storage_cache_bytes)
    return SharedStorage(Bucket.of(settings, patience, moved), settings.data_dir.resolve(), cache)
