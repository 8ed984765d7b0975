"""How a model gets into memory: what other loaded models have too (trunk, preprocessing, references) is shared."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.predictions.sharing import Shared
from models_store import registry
from models_store.storage import LOCAL, Storage, needs

if TYPE_CHECKING:  # torch takes seconds to import; see app.pretrained
    from app.pretrained import Engine, Outliers, Precision, Predictor, Preprocessing, ServingPrecision


class Loader:
    """Loads models by id; of what they share, only what no loaded model has.

    Args:
        precision: see ``FINETUNED_SERVING_PRECISION``.
    """

    def __init__(self, store_dir: Path, precision: "ServingPrecision", storage: Storage = LOCAL) -> None:
        self._store_dir, self._precision, self._storage = store_dir, precision, storage
        self._engines: Shared[Engine] = Shared()
        self._preprocessings: Shared[Preprocessing] = Shared()
        self._outliers: Shared[Outliers] = Shared()

    def load(self, model_id: str) -> "Predictor":
        """Load a model.

        Raises:
            UnavailableError: its trunk is missing or damaged.
            OSError: its files are gone.
        """
        with needs.of_model(self._storage, self._store_dir, model_id):
            return self._load(model_id)

    def _load(self, model_id: str) -> "Predictor":
        from app import pretrained  # noqa: PLC0415 - see there

        directory = registry.directory(self._store_dir, model_id)
        stored = pretrained.bundle.read(directory, self._preprocessing, self._outlying)

        def engine(name: str, precision: "Precision") -> "Engine":
            trunk = stored.card["trunk"]
            return self._engines.get(
                (trunk, name, precision), lambda: pretrained.ENGINES[name](self._store_dir, trunk, precision)
            )

        return pretrained.Predictor(stored, pretrained.open_first(engine, stored.card, self._precision))

    def _preprocessing(self, card: Mapping[str, Any], directory: Path) -> "Preprocessing":
        """By its card, which holds the hashes of its files."""
        from app import pretrained  # noqa: PLC0415 - see there

        key = json.dumps(card, sort_keys=True)
        return self._preprocessings.get(key, lambda: pretrained.load_preprocessing(card, directory))

    def _outlying(self, path: Path) -> "Outliers":
        """By the content: models of the same data have the same references."""
        from app import pretrained  # noqa: PLC0415 - see there

        key = hashlib.sha256(path.read_bytes()).digest()
        return self._outliers.get(key, lambda: pretrained.Outliers.load(path))
