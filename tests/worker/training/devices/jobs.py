"""Jobs that train for real, in this process or in ranks that it starts, without the export that follows."""

import os
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from models_store import jobs
from models_store.database.tables import Json
from tests.worker.training.trainable import Trainable, trainable
from worker.training import fitting
from worker.training.planning import Planning
from worker.training.preparing import dataset_of, prepare
from worker.training.strategies import STRATEGIES

ROOT = Path(__file__).parents[4]
TRAINING: dict[str, Any] = {
    "max_epochs": 3,
    "batch_size": 5,
    "optimizer": "sgd",  # Adam makes steps of rounding errors where a gradient is zero
    "head_lr": 0.02,
    "backbone_lr": 0.01,
    "early_stopping": None,
    "precision": "32",
    "accelerator": "cpu",
}
"""21 training and 6 validation items in batches of 5: the last batch of each has one item, for the first rank alone."""
PER_CLASS, VALIDATION = (13, 8), 3


def job(
    folder: Path, patch: pytest.MonkeyPatch, devices: int, training: Json, *, interval: float = 60, **spec: Any
) -> Trainable:
    """A claimed job; ranks find it by their environment."""
    made = trainable(
        folder,
        per_class=PER_CLASS,
        validation=VALIDATION,
        settings={"checkpoint_interval_seconds": interval},
        **{"strategy": "full", **spec},
        training={**TRAINING, **training, "devices": devices},
    )
    patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests" / "plugins")]))
    patch.setenv("FINETUNED_DATA_DIR", str(made.attempt.settings.data_dir))
    patch.setenv("FINETUNED_CHECKPOINT_INTERVAL_SECONDS", str(interval))
    return made


def trained(made: Trainable, halvings: int = 0) -> dict[str, Tensor]:
    """What the child does of a job until it exports; gives the best weights."""
    ready = prepare(made.attempt, dataset_of(made.attempt), halvings)
    spec, decision = Planning(made.attempt, ready).settle()
    strategy = STRATEGIES[decision["strategy"]]
    material = fitting.material(
        spec.training, ready.data, ready.network, strategy, ready.backbone.preprocessing, ready.extraction
    )
    fitting.fit(made.attempt, spec, ready.data, ready.network, strategy, material, halvings)
    strategy.finish(ready.network)
    return {name: tensor.detach().clone() for name, tensor in ready.network.state_dict().items()}


def epochs(made: Trainable) -> list[Json]:
    """What the job's metrics show."""
    with made.attempt.database.read() as session:
        return list(jobs.epochs(session, made.attempt.claim.job_id))
