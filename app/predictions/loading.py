"""How a model gets into memory. Models that stand on the same trunk share it there, as they do on disk."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from app.predictions.pool import Predicts
from models_store import registry

if TYPE_CHECKING:  # torch takes seconds to import; see app.pretrained
    from torch import nn

    from app.pretrained import Architecture


class Loader:
    """Loads models by id, and a trunk only where no loaded model stands on it already."""

    def __init__(self, store_dir: Path) -> None:
        self._store_dir = store_dir
        self._lock = threading.Lock()
        self._modules: WeakValueDictionary[str, nn.Module] = WeakValueDictionary()
        self._architectures: dict[str, Architecture] = {}

    def load(self, model_id: str) -> Predicts:
        """Load a model.

        Raises:
            UnavailableError: its trunk is missing or damaged.
            OSError: its files are gone.
        """
        from app import pretrained  # noqa: PLC0415 - see there

        directory = registry.directory(self._store_dir, model_id)
        bundle = pretrained.bundle.load(directory, self._store_dir, self._trunk)
        return pretrained.Predictor(bundle, pretrained.ENGINES["torch"](bundle))

    def _trunk(self, store_dir: Path, trunk: str) -> "tuple[nn.Module, Architecture]":
        from app import pretrained  # noqa: PLC0415 - see there

        with self._lock:
            module = self._modules.get(trunk)
            if module is None:
                module, self._architectures[trunk] = pretrained.trunks.load(store_dir, trunk)
                self._modules[trunk] = module
            return module, self._architectures[trunk]
