"""What the command line prints: JSON as it came, or a table for people."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column, Table
from rich.text import Text

Json = dict[str, Any]


def show_json(value: object) -> None:
    """Exactly what the service said."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """One line an entry. Names come from users, so nothing in them is markup."""
    first, *others = columns
    # The first column is what is copied into the next command: it is never cut.
    table = Table(
        Column(first, no_wrap=True, min_width=34 if first == "id" else None), *others, box=None, pad_edge=False
    )
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    Console().print(table)


def show_fields(fields: Json) -> None:
    """One line a field that has a value."""
    show_table(("field", "value"), [(name, value) for name, value in fields.items() if value not in (None, [], {})])


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


class JobBar:
    """A live line on one job; used as ``on_update`` of ``Client.wait_job`` inside :attr:`progress`."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress = progress
        self._task: TaskID = progress.add_task(name, total=1.0, state="queued")

    def update(self, job: Json) -> None:
        """Show the job as it is now."""
        now = job.get("progress") or {}
        done = 1.0 if job["status"] == "succeeded" else now.get("fraction") or 0.0
        self._progress.update(self._task, completed=done, state=_state(job, now))


def job_progress() -> Progress:
    """The display that holds the bars; writes nothing but the last state where there is no terminal."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[state]}", markup=False),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )


def _state(job: Json, now: Json) -> str:
    if job["status"] != "running":
        return str(job["status"])
    parts = [str(now.get("phase") or "starting")]
    if now.get("phase") == "training" and now.get("epoch") is not None:
        parts.append(f"epoch {now['epoch']}/{now['max_epochs']}")
    accuracy = (job.get("metrics") or {}).get("val_accuracy")
    if accuracy is not None:
        parts.append(f"val accuracy {accuracy:.3f}")
    return ", ".join(parts)
