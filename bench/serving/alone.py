"""``python -m bench.serving.alone DATA_DIR MODEL PRECISION SECONDS < ITEM``: a model's engine with nothing around it.

The limit of what serving can do: items that are prepared already, in batches of several sizes, one after the other, in
a process of its own. Prints one JSON line: ``rate``, items a second at the best size; ``size``; ``preparing``, the
seconds that one core takes to prepare one item.
"""

import base64
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.serving.samples import Kind
from finetuned import parts
from models_store import bundle, registry
from models_store.engines.choosing import ServingPrecision, open_for
from models_store.predictor import Predictor
from models_store.preprocessing.protocol import Prepared
from models_store.settings import StoreSettings

SIZES: Final = (1, 4, 16)
_ITEMS: Final = 50
"""That are prepared to see how long it takes."""


@dataclass(frozen=True)
class Alone:
    """See the module."""

    rate: float
    size: int
    preparing: float


def measure(data_dir: Path, model: str, precision: str, seconds: float, kind: Kind, given: str) -> Alone:
    """Measure in a process like the service's, which is idle meanwhile.

    Raises:
        RuntimeError: with the process's last words.
    """
    content = base64.b64decode(given) if kind == "image" else given.encode()
    command = [*parts.command("bench.serving.alone"), str(data_dir), model, precision, str(seconds)]
    ended = subprocess.run(command, input=content, env=parts.environment(), capture_output=True, check=False)
    if ended.returncode:
        raise RuntimeError(ended.stderr.decode(errors="replace")[-2000:])
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return Alone(**found)


def _main(data_dir: Path, model: str, precision: ServingPrecision, seconds: float, content: bytes) -> None:
    store_dir = StoreSettings(data_dir=data_dir).store_dir
    stored = bundle.read(registry.directory(store_dir, model))
    predictor = Predictor(stored, open_for(store_dir, stored.card, precision))
    item, preparing = _prepared(predictor, content)
    rates = {size: _rate(predictor, [item] * size, seconds) for size in SIZES}
    size = max(rates, key=lambda size: rates[size])
    print(json.dumps({"rate": rates[size], "size": size, "preparing": preparing}))


def _prepared(predictor: Predictor, content: bytes) -> tuple[Prepared, float]:
    started = time.perf_counter()
    for _ in range(_ITEMS):
        (item,) = predictor.prepare([content])
    if not isinstance(item, Prepared):
        raise item
    return item, (time.perf_counter() - started) / _ITEMS


def _rate(predictor: Predictor, items: list[Prepared], seconds: float) -> float:
    """Items a second; the first batch, for which memory is laid out, is not counted."""
    batch = predictor.preprocessing.collate(items)
    predictor.engine.features(batch)
    started, batches = time.perf_counter(), 0
    while time.perf_counter() < started + seconds:
        predictor.engine.features(batch)
        batches += 1
    return batches * len(items) / (time.perf_counter() - started)


if __name__ == "__main__":
    _folder, _model, _precision, _seconds = sys.argv[1:]
    _wanted: ServingPrecision = "auto" if _precision == "auto" else "f32"
    _main(Path(_folder), _model, _wanted, float(_seconds), sys.stdin.buffer.read())
