"""``finetuned report``."""

import typer

from finetuned.client.records import Report
from finetuned.commands.completion import ModelRef
from finetuned.commands.remote import Remote, remote
from finetuned.output import show_fields, show_json, show_table


@remote
def report(at: Remote, model: ModelRef) -> None:
    """How good a model is: each class, calibration, and the items whose labels may be wrong."""
    show_report(at, at.client.report(model))


def show_report(at: Remote, found: Report) -> None:
    """The figures, a table of classes, and one of mistakes."""
    if at.as_json:
        show_json(found.raw)
        return
    calibration = found.calibration
    summary = {name: found[name] for name in ("model", "dataset", "split", "items", "accuracy", "loss")}
    ece = {f"ece_{when}": calibration[f"ece_{when}"] for when in ("before", "after")}
    show_fields({**summary, "temperature": calibration["temperature"], **ece})
    for columns, rows in (
        (("label", "precision", "recall", "f1", "support"), found.classes),
        (("item", "name", "label", "predicted", "score"), found.mistakes),
    ):
        typer.echo()
        show_table(columns, ([row[column] for column in columns] for row in rows))
