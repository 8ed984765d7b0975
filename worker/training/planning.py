"""What a job settles before it trains: its strategy, batch size and precision. Once, for all its attempts."""

from dataclasses import replace
from typing import Any, Final

import numpy as np

from models_store import leases, processors, spans
from models_store.backbones.family import Batch
from models_store.database.tables import Json
from models_store.decision import Known, decide, possible, size
from models_store.spec import JobSpec, Training
from worker.attempt import Attempt
from worker.training import batching, evidence, hardware, precision, remembering
from worker.training.batching import Choice
from worker.training.preparing import Prepared
from worker.training.strategies import STRATEGIES, Strategy
from worker.training.trial import Trial

EVIDENCE_END: Final = 0.05
"""The fraction of the whole job that a probe or a measurement takes …"""
FEATURES_END: Final = 0.6
"""… and that the one pass of a frozen backbone takes."""
ONE_DEVICE: Final = "one device trains the head: on cached features others would wait for each other"
_COMES_TO: Final = {"gradual": "full"}
"""Strategies that train more at their end than at their start, and how much that is."""


def caches_features(strategy: Strategy, training: Training) -> bool:
    """Whether the backbone sees each item once: it is frozen, and the items look the same in every epoch."""
    return strategy.CACHES_FEATURES and training.augmentation == "none"


class Planning:
    """Settles a job.

    Without ``probing``, ``auto`` goes by size alone: a probe can take minutes.
    """

    def __init__(self, attempt: Attempt, ready: Prepared, *, probing: bool = True) -> None:
        self._attempt, self._probing = attempt, probing
        self._spec, self._data, self._network = ready.spec, ready.data, ready.network
        self._extraction, self._backbone = ready.extraction, ready.backbone_sha256

    def trial(self, training: Training, strategy: str) -> Trial:
        """Steps of this job with these settings; of ``gradual``, those of its end."""
        heaviest = STRATEGIES[_COMES_TO.get(strategy, strategy)]
        return Trial(self._network, heaviest, training, hardware.device(training))

    def longest(self, count: int) -> Batch:
        """The items that take the most memory; again and again where there are too few."""
        return self._data.train(np.resize(self._data.train.by_size()[::-1], count))

    @spans.parted("planning")
    def settle(self) -> tuple[JobSpec, Json]:
        """The resolved specification and the decision, stored with the job; those of an earlier attempt stay."""
        made = self._attempt.row().decision
        if made is not None:
            return self._spec, made
        decision = decide(self._spec, self._attempt.settings, self._known(), possible(self._network.architecture.task))
        training = self._resolve(decision["strategy"])
        if training.devices < self._spec.training.devices:
            decision["reason"] += f"; {ONE_DEVICE}"
        spec = self._spec.model_copy(update={"training": training})
        config = spec.model_dump(mode="json")
        leases.write(self._attempt.database, self._attempt.claim, config=config, decision=decision)
        return spec, decision

    def _known(self) -> Known:
        """With a probe for ``auto``, where it decides, or costs nothing as its features are needed anyway."""
        train, validation = self._data.train, self._data.validation
        known = Known(len(train), len(self._data.labels), evidence.majority(train.labels, validation.labels))
        by_size = size(self._attempt.settings, len(train))
        if not self._probing or self._spec.strategy != "auto" or by_size == "large":
            return known
        if by_size == "small":
            if self._spec.training.augmentation != "none":
                return known
            self._extraction.all(FEATURES_END)
        sample = self._extraction.sample(EVIDENCE_END)
        stop = self._attempt.check_stop
        return replace(known, probe=evidence.probe(sample["train"], sample["validation"], known.classes, stop))

    def _resolve(self, strategy: str) -> Training:
        cached = caches_features(STRATEGIES[strategy], self._spec.training)
        training = hardware.resolve_precision(
            self._spec.training, trains_backbone=not STRATEGIES[strategy].CACHES_FEATURES
        )
        if STRATEGIES[strategy].CACHES_FEATURES and not cached:
            self._log(
                "the training items are augmented: the backbone computes them anew in every epoch, without a cache"
            )
        if cached and training.devices > 1:
            self._log(f"devices: 1 instead of {training.devices}, as {ONE_DEVICE}")
            training = training.model_copy(update={"devices": 1})
        if training.batch_size == "auto":
            choice = self._batch_size(training, strategy, cached=cached)
            self._log(f"batch_size auto: {choice.batch_size} ({choice.why})")
            training = training.model_copy(update={"batch_size": max(choice.batch_size, training.devices)})
        if training.precision == "auto":
            training = training.model_copy(update={"precision": self._precision(training, strategy)})
        return training

    def _batch_size(self, training: Training, strategy: str, *, cached: bool) -> Choice:
        examples = len(self._data.train)
        if cached:
            return batching.on_cached_features(examples)
        measure = batching.on_gpu if training.accelerator == "gpu" else batching.on_cpu
        return measure(examples, lambda: self.trial(training, strategy), self.longest, lambda: self._step("measuring"))

    def _precision(self, training: Training, strategy: str) -> str:
        """Of a CPU: measured, but only where that can pay."""
        batch_size = int(training.batch_size)
        steps = training.max_epochs * -(-len(self._data.train) // batch_size)
        if not processors.has_bfloat16() or steps < precision.WORTH_IT:
            return "32"
        rows = np.random.default_rng(training.seed).permutation(len(self._data.train))
        items = min(batch_size, precision.ITEMS)
        measured = self._remembered(training, strategy, list(np.resize(rows, (precision.BATCHES, items))))
        chosen, why = precision.choose(precision.Comparison(**measured))
        self._log(f"precision auto: {why}", **measured)
        return chosen

    def _remembered(self, training: Training, strategy: str, batches: list[Any]) -> Json:
        facts: Json = {
            "backbone": self._backbone,
            "dataset": self._data.row.fingerprint,
            "strategy": strategy,
            "training": training.model_dump(mode="json", exclude={"max_epochs", "early_stopping"}),
        }

        def measure() -> Json:
            return precision.compare(
                lambda name: self.trial(training.model_copy(update={"precision": name}), strategy),
                [self._data.train(rows) for rows in batches],
                lambda: self._step("measuring"),
            ).as_json()

        return remembering.once(self._attempt.settings.store_dir, facts, measure)

    def _step(self, phase: str) -> None:
        self._attempt.check_stop()
        self._attempt.progress(phase, EVIDENCE_END)

    def _log(self, message: str, **data: float) -> None:
        leases.log(self._attempt.database, self._attempt.claim, message, **data)
