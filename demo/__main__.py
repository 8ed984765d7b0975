"""Run the demo: import two data sets, fine-tune two pretrained backbones, predict, and print what was done."""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from demo import digits, pretrained, sentences
from demo.service import running
from finetuned import ApiError, Client
from finetuned.failure import UpError
from finetuned.output import JobBar, job_progress

Json = dict[str, Any]

_DIGITS: Final = 600
_SENTENCES_PER_LANGUAGE: Final = 250
_EPOCHS: Final = 20
_SHOWN: Final = 4
_console: Final = Console()


@dataclass(frozen=True)
class Exercise:
    """One data set and the backbone that is fine-tuned on it."""

    title: str
    filename: str
    write: Callable[[Path], None]
    weights: pretrained.Weights


@dataclass(frozen=True)
class Outcome:
    """What became of an exercise."""

    exercise: Exercise
    dataset: Json
    job: Json


class DemoError(Exception):
    """A step did not do what it should."""


def main() -> int:
    """Run it all; 0 if every step worked."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--data-dir", type=Path, help="keep what is made here, instead of in a temporary folder")
    data_dir: Path | None = parser.parse_args().data_dir
    try:
        with tempfile.TemporaryDirectory(prefix="finetuned-demo-") as temporary:
            run(data_dir or Path(temporary) / "data", Path(temporary))
    except (ApiError, UpError, DemoError, OSError) as error:
        _console.print(f"The demo failed: {error}", style="red", markup=False)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def run(data_dir: Path, folder: Path) -> None:
    """Start a service, do the exercises, stop it, and print the table."""
    started = time.monotonic()
    _console.print("Starting the service …")
    with running(data_dir) as client:
        _console.print(f"The service runs on {client.url}.")
        outcomes = [_do(client, exercise, folder) for exercise in _exercises()]
        for outcome in outcomes:
            _predict(client, outcome)
    _console.print(_table(outcomes))
    _console.print(f"The service was stopped. All of it took {time.monotonic() - started:.0f} s.")


def _exercises() -> list[Exercise]:
    return [
        Exercise(
            "handwritten digits",
            "digits.zip",
            lambda path: digits.write_zip(path, _DIGITS),
            pretrained.efficientnet_lite0(),
        ),
        Exercise(
            "language of sentences",
            "languages.csv",
            lambda path: sentences.write_csv(path, _SENTENCES_PER_LANGUAGE),
            pretrained.minilm(),
        ),
    ]


def _do(client: Client, exercise: Exercise, folder: Path) -> Outcome:
    """Import the data, mirror the weights, and train the head."""
    weights = exercise.weights
    client.add_weights(weights.backbone, weights.path, weights.name)
    file = folder / exercise.filename
    exercise.write(file)
    dataset = client.upload_dataset(file)
    _require(dataset, "ready")
    training = {"max_epochs": _EPOCHS, "seed": 0}
    job = client.create_job(dataset=dataset["id"], backbone=weights.backbone, strategy="freeze", training=training)
    with job_progress() as progress:
        job = client.wait_job(job["id"], JobBar(progress, exercise.title).update)
    _require(job, "succeeded")
    return Outcome(exercise, dataset, job)


def _require(found: Json, status: str) -> None:
    if found["status"] != status:
        raise DemoError(f"{found['id']} is {found['status']}: {found['error']}")


def _predict(client: Client, outcome: Outcome) -> None:
    """Ask the new model about items that it was not trained on, of different labels."""
    labels = [entry["label"] for entry in outcome.dataset["classes"]][:_SHOWN]
    items = [next(client.dataset_items(outcome.dataset["id"], label=label, split="validation")) for label in labels]
    inputs = [item.get("text") or client.dataset_item_content(outcome.dataset["id"], item["id"]) for item in items]
    _console.print(f"\nPredictions for the validation set: {outcome.exercise.title}", style="bold")
    for item, shown, prediction in zip(items, inputs, client.predict(outcome.job["model"], inputs), strict=True):
        if "error" in prediction:
            raise DemoError(f"No prediction for {item['name']}: {prediction['error']}")
        text = shown if isinstance(shown, str) else digits.picture(shown)
        _console.print(text, markup=False, highlight=False, overflow="ellipsis")
        _console.print(f"  → {prediction['label']} ({prediction['score']:.2f}); truth: {item['label']}", markup=False)


def _table(outcomes: list[Outcome]) -> Table:
    table = Table(
        "data", "backbone", "train + val", "strategy", "seconds", "val accuracy", "model", title="\nWhat was done"
    )
    for outcome in outcomes:
        job, splits = outcome.job, outcome.dataset["splits"]
        table.add_row(
            outcome.exercise.title,
            job["backbone"],
            f"{splits['train']} + {splits['validation']}",
            job["decision"]["strategy"],
            f"{_seconds(job):.1f}",
            f"{job['best']['val_accuracy']:.3f}",
            job["model"],
        )
    return table


def _seconds(job: Json) -> float:
    """From ``POST /jobs`` to the end."""
    return (datetime.fromisoformat(job["finished_at"]) - datetime.fromisoformat(job["created_at"])).total_seconds()


if __name__ == "__main__":
    sys.exit(main())
