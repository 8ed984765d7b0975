"""``finetuned predict``: of arguments a table, of a pipe a stream."""

import csv
import json
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from finetuned.client import Client
from finetuned.client.options import PredictOptions
from finetuned.client.predicting import Input
from finetuned.client.records import Prediction
from finetuned.commands.completion import ModelRef
from finetuned.commands.exits import ExitCode
from finetuned.commands.remote import Remote, remote
from finetuned.output import show_json, show_table

_PIPE: Final = "-"
_MOST_LINES: Final = 256
_COLUMNS: Final = ("input", "label", "score", "error")


class Format(StrEnum):
    """How predictions are written."""

    table = "table"
    csv = "csv"
    jsonl = "jsonl"


@remote
def predict(
    at: Remote,
    model: ModelRef,
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help="Texts, or paths of images; - reads one a line from stdin.")
    ],
    top_k: Annotated[int | None, typer.Option(min=1, help="How many classes to score, in JSON.")] = None,
    logits: Annotated[bool, typer.Option(help="In JSON: the raw logits too.")] = False,
    abstain_below: Annotated[
        float | None, typer.Option(min=0, max=1, help="Give no label where the confidence is below this.")
    ] = None,
    form: Annotated[Format | None, typer.Option("--format", help="table; of a pipe: csv, with --json: jsonl.")] = None,
) -> None:
    """Classify texts or images, whichever the model is for."""
    piped = inputs == [_PIPE]
    images = at.client.model(model).task == "image-classification"
    if images and not piped:
        _require_files(inputs)
    options = PredictOptions(top_k=top_k, logits=logits or None, abstain_below=abstain_below)
    pairs = _pairs(at.client, model, _lines() if piped else iter([inputs]), options, images=images)
    if form is None and at.as_json and not piped:
        found = [prediction for _, prediction in pairs]
        show_json([prediction.raw for prediction in found])
    else:
        found = _written(pairs, form or _default(piped=piped, as_json=at.as_json))
    if any(prediction.error for prediction in found):
        raise typer.Exit(ExitCode.FAILED)


def _default(*, piped: bool, as_json: bool) -> Format:
    if as_json:
        return Format.jsonl
    return Format.csv if piped else Format.table


def _require_files(names: list[str]) -> None:
    for name in names:
        if not Path(name).is_file():
            raise typer.BadParameter(f"There is no file {name}. This model classifies images: name image files.")


def _lines() -> Iterator[list[str]]:
    """What stands in the pipe, as soon as it does: one line or many."""
    lines: queue.Queue[str | None] = queue.Queue(2 * _MOST_LINES)

    def read() -> None:
        for line in sys.stdin:
            lines.put(line.rstrip("\r\n"))
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    while (first := lines.get()) is not None:
        batch = [first]
        while len(batch) < _MOST_LINES and not lines.empty():
            line = lines.get()
            if line is None:
                yield batch
                return
            batch.append(line)
        yield batch


def _pairs(
    client: Client, model: str, batches: Iterator[list[str]], options: PredictOptions, *, images: bool
) -> Iterator[tuple[str, Prediction]]:
    for batch in batches:
        there = [not images or Path(item).is_file() for item in batch]
        sent: list[Input] = [Path(item) if images else item for item, known in zip(batch, there, strict=True) if known]
        answers = iter(client.predict(model, sent, **options) if sent else ())
        for item, known in zip(batch, there, strict=True):
            yield item, next(answers) if known else _missing(item)


def _missing(name: str) -> Prediction:
    message = f"There is no file {name}. This model classifies images: name image files."
    return Prediction.of({"error": {"code": "no_such_file", "message": message}})


def _written(pairs: Iterator[tuple[str, Prediction]], form: Format) -> list[Prediction]:
    """Write each as it comes, but for a table; gives those that failed."""
    if form is Format.table:
        found = list(pairs)
        show_table(("input", "label", "score"), (_cells(item, prediction) for item, prediction in found))
        return [prediction for _, prediction in found]
    write = _csv_writer() if form is Format.csv else _write_json
    failed = []
    for item, prediction in pairs:
        write(item, prediction)
        sys.stdout.flush()
        failed += [prediction] if prediction.error else []
    return failed


def _cells(item: str, prediction: Prediction) -> tuple[object, ...]:
    if prediction.error:
        return item, prediction.error.code, prediction.error.message
    return item, prediction.label, prediction.score


def _csv_writer() -> Callable[[str, Prediction], None]:
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(_COLUMNS)

    def write(item: str, prediction: Prediction) -> None:
        code = prediction.error.code if prediction.error else ""
        rows.writerow((item, prediction.label, prediction.score, code))

    return write


def _write_json(item: str, prediction: Prediction) -> None:
    typer.echo(json.dumps({"input": item, **prediction.raw}, ensure_ascii=False))
