"""What a job would take, measured by real steps on the worker that would run it; nothing is trained or published."""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
import torch

from models_store import leases
from models_store.backbones.family import Batch
from models_store.database.tables import Json
from models_store.spec import JobSpec
from worker.attempt import Attempt
from worker.training import batching, footprint, hardware
from worker.training.features import PASS_BATCH
from worker.training.optimizing import optimizer_of
from worker.training.planning import Planning, caches_features
from worker.training.preparing import Prepared, dataset_of, prepare
from worker.training.strategies import STRATEGIES
from worker.training.trial import Trial

STEPS: Final = 3
"""Timed after one that warms up; the middle one counts."""
HEAD_STEPS: Final = 30
TRAINER_SECONDS: Final = 0.0005
"""What Lightning adds to a step of a head: hooks, clipping, schedule, and a step's share of an epoch's own work."""
LARGEST_BATCH: Final = 1024


@dataclass(frozen=True)
class Measurement:
    """One job on this worker, in seconds, bytes and items.

    ``features_seconds`` is the one pass of a frozen backbone, else 0. ``largest_batch_size`` is the largest power of
    two up to ``LARGEST_BATCH`` whose step the free memory holds. ``eta_seconds`` is for all epochs, without early
    stopping, the start of the job and its export.
    """

    seconds_per_epoch: float
    seconds_per_step: float
    steps_per_epoch: int
    features_seconds: float
    eta_seconds: float
    peak_memory_bytes: int
    largest_batch_size: int
    device: str


def run(attempt: Attempt) -> None:
    """Settle the job as it would be settled, measure it, and store what was found as the result.

    Raises:
        FinetunedError: the job could not be done; the reason is for its owner.
    """
    ready = prepare(attempt, dataset_of(attempt), halvings=0)
    planning = Planning(attempt, ready, probing=False)
    spec, decision = planning.settle()
    attempt.progress("measuring", 0.5)
    measured = Measuring(attempt, ready, planning, spec, decision["strategy"]).measure()
    result: Json = {"decision": decision, "config": spec.model_dump(mode="json"), "measurement": asdict(measured)}
    leases.succeed(attempt.database, attempt.claim, lambda _session: result)


class Measuring:
    """Times the parts of an epoch on a few batches, and scales them up."""

    def __init__(self, attempt: Attempt, ready: Prepared, planning: Planning, spec: JobSpec, strategy: str) -> None:
        self._attempt, self._ready, self._planning = attempt, ready, planning
        self._training, self._strategy = spec.training, strategy
        self._batch_size = min(int(spec.training.batch_size), len(ready.data.train))
        self._device = hardware.device(spec.training)

    def measure(self) -> Measurement:
        """All of it; looks for a stop between the steps."""
        data, training = self._ready.data, self._training
        cached = caches_features(STRATEGIES[self._strategy], training)
        steps = -(-len(data.train) // int(training.batch_size))
        with footprint.Peak(self._memory()) as peak:
            item = self._pass_seconds()
            step = self._head_seconds() if cached else self._step_seconds()
        epoch = steps * step + (0.0 if cached else item * len(data.validation))
        features = item * (len(data.train) + len(data.validation)) if cached else 0.0
        return Measurement(
            seconds_per_epoch=round(epoch, 3),
            seconds_per_step=round(step, 4),
            steps_per_epoch=steps,
            features_seconds=round(features, 2),
            eta_seconds=round(features + training.max_epochs * epoch, 1),
            peak_memory_bytes=peak.bytes or 0,
            largest_batch_size=LARGEST_BATCH if cached else self._largest_batch(),
            device=str(self._device),
        )

    def _memory(self) -> Callable[[], int | None] | None:
        """How the device's memory is read; None: the process's own."""
        return torch.cuda.memory_allocated if self._device.type == "cuda" else None

    def _pass_seconds(self) -> float:
        """Reading, preparing and one forward pass of an item without gradients."""
        network = self._ready.network.to(self._device)
        was_training = network.training
        network.eval()
        with torch.no_grad():
            seconds = self._middle(lambda: network.features(self._inputs(PASS_BATCH)), STEPS) / PASS_BATCH
        network.train(was_training)
        self._ready.network.to("cpu")
        return seconds

    def _step_seconds(self) -> float:
        """One step with the strategy's trainable part, data included."""
        with self._planning.trial(self._training, self._strategy) as trial:
            return self._middle(lambda: trial.step(self._ready.data.train(self._rows(self._batch_size))), STEPS)

    def _head_seconds(self) -> float:
        """One step of the head alone on features that are there."""
        head = torch.nn.Linear(self._ready.network.head.in_features, len(self._ready.data.labels)).to(self._device)
        optimizer = optimizer_of(self._training, [{"params": list(head.parameters()), "lr": self._training.head_lr}])
        features = torch.randn(self._batch_size, head.in_features, device=self._device)
        labels = torch.zeros(self._batch_size, dtype=torch.long, device=self._device)

        def step() -> None:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(head(features), labels).backward()  # type: ignore[no-untyped-call]
            optimizer.step()

        return TRAINER_SECONDS + self._middle(step, HEAD_STEPS)

    def _largest_batch(self) -> int:
        """By trying on a GPU, by the growth of two small steps on a CPU."""
        planning, training = self._planning, self._training

        def make() -> Trial:
            return planning.trial(training, self._strategy)

        if self._device.type == "cuda":
            return batching.largest_that(batching.fits_gpu(make, planning.longest, self._look), LARGEST_BATCH)
        small, large = batching.step_bytes(make, planning.longest, self._look)
        return batching.estimated(small, large, footprint.available() or 0, LARGEST_BATCH)

    def _middle(self, work: Callable[[], object], times: int) -> float:
        """The median of some runs, in seconds, after one that does not count."""
        work()
        taken = []
        for _ in range(times):
            self._look()
            began = time.perf_counter()
            work()
            if self._device.type == "cuda":
                torch.cuda.synchronize()
            taken.append(time.perf_counter() - began)
        return statistics.median(taken)

    def _look(self) -> None:
        self._attempt.check_stop()
        self._attempt.progress("measuring", 0.5)

    def _inputs(self, count: int) -> Batch:
        batch = self._ready.data.train(self._rows(count))
        batch.pop("label")
        return {name: tensor.to(self._device) for name, tensor in batch.items()}

    def _rows(self, count: int) -> np.ndarray:
        order = np.random.default_rng(self._training.seed).permutation(len(self._ready.data.train))
        return np.resize(order, count)
