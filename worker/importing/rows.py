"""Rows of CSV and JSON Lines files, as they stand: what the cells may hold is checked elsewhere."""

import csv
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NoReturn

from models_store.errors import InvalidError
from worker.importing.limits import ImportLimits
from worker.importing.lines import Lines
from worker.importing.problems import BadItemError

Refuse = Callable[[int, BadItemError], None]
"""Lists the row that begins at this line as bad."""
_DELIMITERS: Final = (",", ";", "\t")
_COLUMNS: Final = ("text", "label", "split")
_JSON_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)  # possessive: never more than one pass
_JSON_BRACKET: Final = re.compile(r"[\[\]{}]")


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of a row that begins at ``line``; None where it has no such cell."""

    line: int
    text: object
    label: object
    split: object


def csv_rows(lines: Lines, where: str, limits: ImportLimits, refuse: Refuse) -> Iterator[Row]:
    """Rows of a CSV file with quotes as RFC 4180 has them; commas, semicolons or tabs, as in its first line.

    Raises:
        InvalidError: ``missing_columns``, ``duplicate_columns``.
    """
    # The module's own limit holds for the whole process, so it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), limits.text_characters + 1))
    delimiter, header = _header(lines, where)
    places = {name: header.index(name) for name in _COLUMNS if name in header}
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        line = lines.number + 1
        try:
            cells = next(reader)
            if cells:
                _check_width(cells, header)
                text, label, split = (cells[places[name]] if name in places else None for name in _COLUMNS)
                yield Row(line, text, label, split)
        except StopIteration:
            return
        except csv.Error as error:
            refuse(line, BadItemError("malformed_row", _csv_fault(str(error), line, lines.number)))
        except BadItemError as error:
            refuse(line, error)


def jsonl_rows(lines: Lines, where: str, limits: ImportLimits, refuse: Refuse) -> Iterator[Row]:
    """Rows of a file with one JSON object a line.

    Raises:
        InvalidError: ``missing_columns``, when no row has both columns.
    """
    found: set[str] = set()
    while True:
        try:
            line = next(lines)
            if line.strip():
                row = _json_object(line, limits)
                found |= row.keys() if len(found) < len(_COLUMNS) else set()
                yield Row(lines.number, row.get("text"), row.get("label"), row.get("split"))
        except StopIteration:
            break
        except BadItemError as error:
            refuse(lines.number, error)
    if found and not {"text", "label"} <= found:
        raise _missing(where, sorted(found))


ROW_READERS: Final = {".csv": csv_rows, ".jsonl": jsonl_rows}
"""Ending of a file's name → how its rows are read."""


def _header(lines: Lines, where: str) -> tuple[str, list[str]]:
    """The delimiter under which the first line names the columns, and its names."""
    try:
        line = next((line for line in lines if line.strip()), "")
    except BadItemError as error:
        raise InvalidError(error.code, f"The first line of {where}: {error.message}") from error
    headers = [(delimiter, _names(line, delimiter)) for delimiter in _DELIMITERS]
    for delimiter, names in headers:
        if "text" in names and "label" in names:
            _refuse_duplicates(where, names)
            return delimiter, names
    raise _missing(where, max((names for _delimiter, names in headers), key=len))


def _names(line: str, delimiter: str) -> list[str]:
    try:
        return [name.strip().lower() for name in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error:
        return [line.strip()]


def _refuse_duplicates(where: str, names: list[str]) -> None:
    for name in _COLUMNS:
        if names.count(name) > 1:
            raise InvalidError("duplicate_columns", f"{where} has two columns {name!r}. Rename one of them.")


def _missing(where: str, found: list[str]) -> InvalidError:
    told = ", ".join(repr(name[:40]) for name in found[:20]) or "none"
    return InvalidError(
        "missing_columns",
        f"{where} needs the columns 'text' and 'label'; found: {told}. Name the columns in the first line "
        "(CSV) or in every object (JSON Lines).",
    )


def _check_width(cells: list[str], header: list[str]) -> None:
    if len(cells) != len(header):
        raise BadItemError(
            "wrong_column_count",
            f"The row has {len(cells)} cells, the header {len(header)}. Put cells that hold the delimiter in quotes.",
        )


def _csv_fault(reason: str, first: int, last: int) -> str:
    lines = f"Lines {first} to {last} are" if last > first else "The line is"
    return f'{lines} not proper CSV ({reason}). Close every quote, and double those inside a cell ("").'


def _json_object(line: str, limits: ImportLimits) -> dict[str, object]:
    _check_depth(line, limits.json_depth)
    try:
        row = json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BadItemError("malformed_row", f"The line is not JSON ({error}). Write one object a line.") from error
    if not isinstance(row, dict):
        raise BadItemError("malformed_row", 'The line is no object. Write {"text": …, "label": …}.')
    return {str(key).strip().lower(): value for key, value in row.items()}


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _check_depth(line: str, limit: int) -> None:
    if line.count("[") + line.count("{") <= limit:
        return
    depth = 0
    for bracket in _JSON_BRACKET.finditer(_JSON_STRING.sub("", line)):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > limit:
            raise BadItemError("nested_too_deep", f"The line nests more than {limit} levels. Write a flat object.")
