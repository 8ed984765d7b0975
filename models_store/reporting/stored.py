"""A report as a file of a model's folder; reading it needs no torch."""

import contextlib
import json
from pathlib import Path
from typing import Any, Final

from models_store.artifacts import write_atomic
from models_store.errors import NotFoundError

_FILE: Final = "report.json"


def write(directory: Path, report: dict[str, Any]) -> None:
    """Write it into the folder of a model, whole or not at all."""
    write_atomic(directory / _FILE, json.dumps(report, ensure_ascii=False).encode())


def forget_items(directory: Path) -> dict[str, Any] | None:
    """Leave the figures of a model's report, and nothing of single items: their data set is being deleted.

    Returns:
        The report as it was, where there was anything of items.
    """
    with contextlib.suppress(NotFoundError):
        report = read(directory)
        if report != without_items(report):
            write(directory, without_items(report))
            return report
    return None


def without_items(report: dict[str, Any]) -> dict[str, Any]:
    """The report without the names, labels and scores of single items, in all its parts."""
    bare = {**report, "mistakes": []}
    if "splits" in report:
        bare["splits"] = {name: without_items(part) for name, part in report["splits"].items()}
    return bare


def read(directory: Path) -> dict[str, Any]:
    """The report of the model whose folder this is.

    Raises:
        NotFoundError: ``report_not_found``, it was trained before there were reports.
    """
    try:
        report: dict[str, Any] = json.loads((directory / _FILE).read_bytes())
    except FileNotFoundError as error:
        raise NotFoundError(
            "report_not_found", "This model was made without a report. Evaluate it: POST /models/{id}/evaluate."
        ) from error
    return report
