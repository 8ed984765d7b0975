"""A fine-tuning from its row to its model; read :func:`run` from top to bottom."""

import torch

from models_store import leases
from models_store.database.tables import DatasetRow
from models_store.errors import InvalidError
from worker.attempt import Attempt
from worker.training import fitting
from worker.training.export import Outcome, export
from worker.training.planning import Planning
from worker.training.preparing import asked, dataset_of, prepare
from worker.training.strategies import STRATEGIES


def run(attempt: Attempt) -> None:
    """Fine-tune, export, publish.

    Raises:
        FinetunedError: the job cannot be done; the reason is for its owner.
    """
    dataset = dataset_of(attempt)
    halvings = int((attempt.row().checkpoint or {}).get("halvings", 0))
    trained = False
    while not trained:
        try:
            _train(attempt, dataset, halvings)
            trained = True
        except torch.OutOfMemoryError as error:
            halvings += 1
            _halve(attempt, halvings, error)


def _train(attempt: Attempt, dataset: DatasetRow, halvings: int) -> None:
    ready = prepare(attempt, dataset, halvings)
    backbone, data, network, extraction = ready.backbone, ready.data, ready.network, ready.extraction
    spec, decision = Planning(attempt, ready).settle()
    strategy = STRATEGIES[decision["strategy"]]
    material = fitting.material(spec.training, data, network, strategy, backbone.preprocessing, extraction)
    best = fitting.fit(attempt, spec, data, network, strategy, material, halvings)
    strategy.finish(network)
    outcome = Outcome(best, decision["strategy"], ready.backbone_sha256, material.features, extraction.source)
    export(attempt, spec, data, backbone, network, outcome)


def _halve(attempt: Attempt, halvings: int, error: torch.OutOfMemoryError) -> None:
    """Start again with half the batch on each device and twice the accumulation: the same training in less memory.

    Raises:
        InvalidError: ``out_of_memory``, one example at a time is still too much.
    """
    training = asked(attempt).training
    if 2**halvings * training.devices >= 2 * fitting.examples_a_step(training):
        message = "The device has too little memory even for one example at a time. Choose a smaller backbone."
        raise InvalidError("out_of_memory", message, param="backbone") from error
    attempt.point_to({"kept": [], "halvings": halvings})
    parts = 2**halvings
    leases.log(
        attempt.database,
        attempt.claim,
        f"the device ran out of memory: training again in steps of 1/{parts} batch, accumulating {parts} of them",
    )
