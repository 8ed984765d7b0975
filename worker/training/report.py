"""How good the trained network is, measured before it is saved: report, temperature, and what is far from its data."""

from dataclasses import dataclass
from typing import Final

from models_store import datasets, spans
from models_store.backbones.family import Backbone
from models_store.database.tables import Json
from models_store.itemset import SPLITS, ItemSet
from models_store.network import Network
from models_store.outliers import MAX_REFERENCES, Outliers
from models_store.reporting.calibration import calibrate
from models_store.reporting.report import Scored, figures
from models_store.reporting.sampling import spread_over_classes
from worker.attempt import Attempt
from worker.training.caching.source import FeatureSource
from worker.training.data import Data, FeatureRows
from worker.training.scoring import Scorer, Split

START: Final = 0.95
END: Final = 0.985
"""The part of the job's progress in which this falls."""


@dataclass(frozen=True)
class Measured:
    """What is known of a network before it is saved.

    Args:
        report: figures of the validation split, and of a test split where there is one.
        metrics: the few of them that the card shows.
        temperature: what its logits are divided by when it is served.
        validation: the validation items and their logits, for the parity check.
    """

    report: Json
    metrics: Json
    temperature: float
    outliers: Outliers
    itemset: ItemSet
    validation: Scored


@spans.parted("report")
def measure(
    attempt: Attempt,
    data: Data,
    backbone: Backbone,
    network: Network,
    cached: dict[str, FeatureRows],
    source: FeatureSource,
) -> Measured:
    """Score the validation split, the test split and a sample of the training items, and sum up.

    Args:
        network: frozen and in eval mode.
        cached: features of ``train`` and ``validation``, or nothing.
        source: gives the features that are needed beside these.
    """
    itemset = ItemSet(datasets.directory(attempt.settings.store_dir, data.row.fingerprint or ""))
    train, validation, test = (Split.of(itemset, name, data.labels, backbone.preprocessing) for name in SPLITS)
    references = spread_over_classes(train.rows.labels, MAX_REFERENCES)
    wanted = {"test": (test, test.all())} if test.items else {}
    if not cached:
        wanted |= {"train": (train, references), "validation": (validation, validation.all())}

    def on_batch(done: int, total: int) -> None:
        attempt.check_stop()
        attempt.progress("exporting", START + (END - START) * done / total)

    scorer = Scorer(network, source, attempt.directory)
    features = scorer.features(wanted, on_batch)
    trained = cached["train"].features[references] if cached else features["train"]
    held_out = cached["validation"].features if cached else features["validation"]
    outliers = Outliers.fit(trained, len(data.labels), held_out)
    judged = scorer.scored(validation, held_out, "validation")
    tested = scorer.scored(test, features["test"], "test") if test.items else None
    return _summed_up(data, itemset, judged, tested, outliers)


def _summed_up(data: Data, itemset: ItemSet, validation: Scored, tested: Scored | None, outliers: Outliers) -> Measured:
    calibration = calibrate(validation.logits, validation.labels)
    temperature = calibration.temperature
    main = figures("validation", validation, data.labels, temperature, calibration.held_out)
    others = {"test": figures("test", tested, data.labels, temperature)} if tested else {}
    judged = others.get("test", main)["calibration"]  # of items that no temperature was fitted on, where there are
    metrics = {"ece": judged["ece_after"], "ece_before": judged["ece_before"]}
    metrics |= {f"{name}_accuracy": part["accuracy"] for name, part in others.items()}
    report = {"object": "report", "dataset": data.row.id, "labels": data.labels, **main, "splits": others}
    return Measured(report, metrics, temperature, outliers, itemset, validation)
