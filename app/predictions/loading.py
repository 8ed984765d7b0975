"""How a model gets into memory. Models that stand on the same trunk share it there, as they do on disk."""

import threading
from collections.abc import Callable
from pathlib import Path
from weakref import WeakValueDictionary

from torch import nn

from app.predictions.pool import Predicts
from models_store import bundle, registry, trunks
from models_store.backbones.family import Architecture
from models_store.engines import ENGINES
from models_store.predictor import Predictor


def loader(store_dir: Path) -> Callable[[str], Predicts]:
    """A function that loads the model with a given id."""
    shared = _Trunks()

    def load(model_id: str) -> Predicts:
        loaded = bundle.load(registry.directory(store_dir, model_id), store_dir, shared.load)
        return Predictor(loaded, ENGINES["torch"](loaded))

    return load


class _Trunks:
    """Loads a trunk unless some loaded model stands on it already."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._modules: WeakValueDictionary[str, nn.Module] = WeakValueDictionary()
        self._architectures: dict[str, Architecture] = {}

    def load(self, store_dir: Path, trunk: str) -> tuple[nn.Module, Architecture]:
        with self._lock:
            module = self._modules.get(trunk)
            if module is None:
                module, self._architectures[trunk] = trunks.load(store_dir, trunk)
                self._modules[trunk] = module
            return module, self._architectures[trunk]
