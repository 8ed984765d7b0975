"""What the command line prints: JSON as it came, or a table for people."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)
from rich.table import Column, Table
from rich.text import Text

from finetuned.client.bodies import Progress as OnProgress
from finetuned.client.records import JobRecord

Json = dict[str, Any]
_LIVE: Final = {"train_loss": "loss", "val_loss": "val loss", "val_accuracy": "val accuracy"}


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
    """A live line on one job; used as ``on_update`` of ``Job.wait`` inside :attr:`progress`."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress = progress
        self._task: TaskID = progress.add_task(name, total=1.0, state="queued")

    def update(self, job: JobRecord) -> None:
        """Show the job as it is now."""
        now = job.progress
        done = 1.0 if job.status == "succeeded" else (now and now.fraction) or 0.0
        self._progress.update(self._task, completed=done, state=_state(job))


def job_progress(*, silent: bool = False) -> Progress:
    """The display that holds the bars. Where there is no terminal it writes the last state, or is ``silent``."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[state]}", markup=False),
        TimeElapsedColumn(),
        console=console,
        disable=silent and not console.is_terminal,
    )


@contextmanager
def upload_progress(path: Path | str) -> Iterator[OnProgress]:
    """A bar on a terminal while something is sent, which is gone afterwards."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"sending {Path(path).name}", total=None)
        yield lambda sent, total: progress.update(task, completed=sent, total=total)


def _state(job: JobRecord) -> str:
    now = job.progress
    if job.status != "running" or now is None:
        return job.status if job.status != "running" else "starting"
    parts = [now.phase or "starting"]
    if now.phase == "training" and now.epoch is not None:
        parts.append(f"epoch {now.epoch}/{now.max_epochs}")
    for name, label in _LIVE.items():
        value = (job.metrics or {}).get(name)
        parts += [] if value is None else [f"{label} {value:.3f}"]
    if now.eta_seconds is not None:
        parts.append(f"{timedelta(seconds=round(now.eta_seconds))} left")
    return ", ".join(parts)
