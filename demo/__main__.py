"""Run the demo: import two data sets, fine-tune two pretrained backbones, predict, and print what was done."""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from rich.columns import Columns
from rich.console import Console, Group
from rich.table import Column, Table
from rich.text import Text

from demo import digits, pretrained, sentences
from demo.service import running
from finetuned import ApiError, Client, Dataset, Job, Model
from finetuned.client.records import DatasetItem, Prediction
from finetuned.failure import UpError
from finetuned.output import JobBar, job_progress

_DIGITS: Final = 600
_SENTENCES_PER_LANGUAGE: Final = 250
_TRAINING: Final = {"max_epochs": 50, "head_lr": 0.01, "seed": 0}
"""More epochs, in larger steps, than the defaults: with cached features an epoch takes a moment."""
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
    dataset: Dataset
    job: Job
    model: Model


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
    with running(data_dir, folder) as client:
        _console.print(f"The service runs on {client.url}.")
        outcomes = [_do(client, exercise, folder) for exercise in _exercises()]
        for outcome in outcomes:
            _predict(outcome)
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
    job = client.create_job(dataset=dataset.id, backbone=weights.backbone, strategy="freeze", training=_TRAINING)
    with job_progress() as progress:
        job = job.wait(JobBar(progress, exercise.title).update)
    _require(job, "succeeded")
    return Outcome(exercise, dataset, job, job.model.read())


def _require(found: Dataset | Job, status: str) -> None:
    if found.status != status:
        raise DemoError(f"{found.id} is {found.status}: {found.error}")


def _predict(outcome: Outcome) -> None:
    """Ask the new model about items that it was not trained on, of different labels."""
    labels = [entry.label for entry in outcome.dataset.classes][:_SHOWN]
    items = [next(outcome.dataset.items(label, "validation")) for label in labels]
    inputs = [item.text or outcome.dataset.content(item) for item in items]
    predictions = outcome.model.predict(inputs)
    shown = [digits.picture(content) if isinstance(content, bytes) else content for content in inputs]
    answers = [_answer(item, prediction) for item, prediction in zip(items, predictions, strict=True)]
    blocks = [Text(f"{picture}\n{answer}\n") for picture, answer in zip(shown, answers, strict=True)]
    _console.print(f"\nThe new model on items of the validation set: {outcome.exercise.title}", style="bold")
    _console.print(Columns(blocks) if outcome.dataset.task == "image-classification" else Group(*blocks))


def _answer(item: DatasetItem, prediction: Prediction) -> str:
    if prediction.error:
        raise DemoError(f"No prediction for {item.name}: {prediction.error.message}")
    return f"→ {prediction.label} ({prediction.score:.2f}), truth {item.label}"


def _table(outcomes: list[Outcome]) -> Table:
    """One column an exercise, so that it fits a narrow terminal."""
    facts = [_facts(outcome) for outcome in outcomes]
    titles = [Column(outcome.exercise.title, overflow="fold") for outcome in outcomes]
    table = Table("", *titles, title="What was done", title_justify="left")
    for name in facts[0]:
        table.add_row(name, *(fact[name] for fact in facts))
    return table


def _facts(outcome: Outcome) -> dict[str, str]:
    job, splits = outcome.job, outcome.dataset.splits
    return {
        "backbone": job["backbone"],
        "strategy": job["decision"]["strategy"],
        "training examples": str(splits["train"]),
        "validation examples": str(splits["validation"]),
        "seconds": f"{_seconds(job):.1f}",
        "val accuracy": f"{outcome.model['metrics']['val_accuracy']:.3f}",
        "model": outcome.model["id"],
    }


def _seconds(job: Job) -> float:
    """From ``POST /jobs`` to the end."""
    return (datetime.fromisoformat(job["finished_at"]) - datetime.fromisoformat(job["created_at"])).total_seconds()


if __name__ == "__main__":
    sys.exit(main())
