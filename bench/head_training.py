"""Head training on cached features under the Lightning Trainer: alone, and while another process burns a core.

    python -m bench.head_training

trains once and prints the seconds: a hundred epochs of 10,000 items with 1,280 features of ten classes, with batches of
256, which ``batch_size: auto`` would take, and a validation of 2,500 after each. Features are random around a centre a
class. Callbacks, checkpoints, and the rows of the epochs in a database of its own are those of a job.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

import numpy as np
import torch
from torch import Tensor, nn

from bench.given import Given
from bench.measurement import Measurement
from models_store import jobs, leases, processors
from models_store.backbones.family import IMAGES, Architecture
from models_store.database.engine import Database
from models_store.database.migrate import migrate
from models_store.network import Network
from models_store.spec import JobSpec
from worker.attempt import Attempt
from worker.settings import WorkerSettings
from worker.training import fitting
from worker.training.data import Data, FeatureRows
from worker.training.module import HeadOnFeatures
from worker.training.strategies import freeze

ITEMS: Final = {"train": 10_000, "validation": 2_500}
WIDTH: Final = 1_280
CLASSES: Final = 10
TRAINING: Final = {"max_epochs": 100, "batch_size": 256, "early_stopping": None, "accelerator": "cpu"}
LIMIT_SECONDS: Final = 15.0
MOST_BESIDE_LOAD: Final = 2.5
"""Times as long beside a process that burns a core; on two cores with fair shares it would be up to 2."""
_ROOT: Final = Path(__file__).parent.parent
_BURN: Final = "while True: pass"


def measure(given: Given) -> list[Measurement]:
    """Seconds of one training alone, and of one on a machine of which a core is busy; ``given`` is not needed."""
    del given
    alone = _run()
    with _burning():
        loaded = _run()
    what = f"head training, {TRAINING['max_epochs']} epochs of {ITEMS['train']:,} cached features"
    beside = Measurement(
        f"{what}, beside a busy core", loaded, alone, "s", loaded / alone, MOST_BESIDE_LOAD, "alone", at_most=True
    )
    return [Measurement.within(what, alone, LIMIT_SECONDS, "s"), beside]


def _run() -> float:
    """In a process with the environment that the service gives to its own."""
    environment = {**os.environ, **processors.openmp(os.environ)}
    command = [sys.executable, "-m", "bench.head_training"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=_ROOT)
    return float(json.loads(answer.stdout.splitlines()[-1])["seconds"])


@contextmanager
def _burning() -> Iterator[None]:
    burner = subprocess.Popen([sys.executable, "-c", _BURN])
    try:
        yield
    finally:
        burner.kill()
        burner.wait()


def main() -> None:
    """Train once, and print the seconds that the training took."""
    chance = torch.Generator().manual_seed(0)
    centres = torch.randn(CLASSES, WIDTH, generator=chance)
    with tempfile.TemporaryDirectory(prefix="bench-head-") as folder:
        rows = {split: _rows(Path(folder) / split, size, centres, chance) for split, size in ITEMS.items()}
        seconds = _train(Path(folder), rows["train"], rows["validation"])
    print(json.dumps({"seconds": seconds}))


def _rows(file: Path, size: int, centres: Tensor, chance: torch.Generator) -> FeatureRows:
    """Features in a memory-mapped file, as a job has them."""
    labels = torch.randint(CLASSES, (size,), generator=chance)
    mapped = torch.from_numpy(np.memmap(file, dtype=np.float32, mode="w+", shape=(size, WIDTH)))
    mapped.copy_(centres[labels] + 6 * torch.randn(size, WIDTH, generator=chance))
    return FeatureRows(mapped, labels)


def _train(folder: Path, train: FeatureRows, validation: FeatureRows) -> float:
    spec = JobSpec.model_validate({"dataset": "ds", "backbone": "torchvision/resnet18", "training": TRAINING})
    network = Network(nn.Identity(), Architecture("torchvision", "none", IMAGES, WIDTH, {}), CLASSES)
    data = cast(Data, SimpleNamespace(train=train, labels=list(range(CLASSES))))
    material = fitting.Material(
        train, validation, HeadOnFeatures(network.head), {"train": train, "validation": validation}
    )
    attempt = _attempt(folder, spec)
    began = time.perf_counter()
    best: dict[str, Any] = fitting.fit(attempt, spec, data, network, freeze, material, halvings=0)
    seconds = time.perf_counter() - began
    if not best["val_accuracy"] > 0.9:
        raise RuntimeError(f"The head has learnt nothing: {best}")
    return seconds


def _attempt(folder: Path, spec: JobSpec) -> Attempt:
    """At a job in a database of its own."""
    settings = WorkerSettings(data_dir=folder, database_url="")
    database = Database(settings.resolved_database_url)
    migrate(database)
    jobs.create(database, jobs.NewJob("fine_tune", "bench", "head", spec.dataset, spec.backbone))
    claim = leases.claim(database, "training", "bench")
    if claim is None:
        raise RuntimeError("The job cannot be claimed.")
    return Attempt(database, settings, claim, folder)


if __name__ == "__main__":
    main()
