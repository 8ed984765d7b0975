"""Tables of labelled texts: one CSV or JSON Lines file, or one of them a split in a zip archive."""

import json
import unicodedata
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import IO

from models_store.errors import InvalidError
from worker.importing.candidates import Candidate, Desk, Progress
from worker.importing.duplicates.groups import Likeness, Numbers
from worker.importing.duplicates.texts import TextSketches, digest, normalised
from worker.importing.limits import ImportLimits
from worker.importing.lines import ByteLines, Lines
from worker.importing.oddities import TextOddities
from worker.importing.problems import BadItemError, Problem
from worker.importing.rows import ROW_READERS, Row
from worker.importing.splits import SPLIT_NAMES


@dataclass(frozen=True, slots=True)
class Table:
    """One file of rows. ``split`` is that of rows that don't say theirs; ``prefix`` goes before "line 7" in names."""

    filename: str
    ending: str
    split: str | None
    prefix: str
    bytes: int
    open: Callable[[], AbstractContextManager[ByteLines]]


class TextSource:
    """The rows of tables. Good texts are kept in ``spool``, a temporary file, until they are written in order.

    Their sketches, by which copies are found, go to ``rows``, another one.
    """

    task = "text-classification"

    def __init__(self, tables: list[Table], spool: IO[bytes], rows: IO[bytes], desk: Desk) -> None:
        self._tables, self._spool, self._desk = tables, spool, desk
        self._sketches = TextSketches(rows)
        self._oddities = TextOddities()
        self._labels: dict[str, str] = {}  # one object a label, however many rows have it
        self._rows = 0
        self._starts = array("Q", [0])  # of every text in the spool, and its end

    def candidates(self, progress: Progress) -> Iterator[Candidate]:
        """See :class:`worker.importing.candidates.Source`."""
        whole = sum(table.bytes for table in self._tables) or 1
        before = 0
        for table in self._tables:
            try:
                with table.open() as stream:
                    lines = Lines(stream, table.filename, self._desk.limits.line_bytes)
                    for candidate in self._read(table, lines):
                        progress(min(1.0, (before + lines.position) / whole))
                        if candidate is not None:
                            yield candidate
            except BadItemError as error:  # a member of an archive that does not even begin
                self._desk.problems.refuse(table.filename, error)
            before += table.bytes

    def content(self, candidate: Candidate) -> bytes:
        """See :class:`worker.importing.candidates.Source`."""
        start, end = self._starts[candidate.place : candidate.place + 2]
        self._spool.seek(start)
        return self._spool.read(end - start)

    def likeness(self, candidates: Sequence[Candidate], first: Numbers) -> Likeness:
        """See :class:`worker.importing.candidates.Source`."""
        return self._sketches.likeness(first, lambda number: normalised(self.content(candidates[number]).decode()))

    def oddities(self) -> list[Problem]:
        """See :class:`worker.importing.candidates.Source`."""
        return list(self._oddities.found())

    def _read(self, table: Table, lines: Lines) -> Iterator[Candidate | None]:
        """A candidate for every row; None for one that is bad."""

        def refuse(line: int, error: BadItemError) -> None:
            self._desk.problems.refuse(f"{table.prefix}line {line}", error)

        for row in ROW_READERS[table.ending](lines, table.filename, self._desk.limits, refuse):
            self._count_row()
            try:
                yield self._checked(table, row)
            except BadItemError as error:
                refuse(row.line, error)
                yield None

    def _checked(self, table: Table, row: Row) -> Candidate:
        content = _text(row.text, self._desk.limits)
        label = _label(row.label, self._desk.limits)
        label = self._labels.setdefault(label, label)
        split = _split(row.split) or table.split
        place = self._keep(content)
        name = f"{table.prefix}line {row.line}"
        text = normalised(content.decode())
        self._sketches.add(text)
        self._oddities.add(name, text, len(content))
        return Candidate(name, label, split, place, digest(text))

    def _keep(self, content: bytes) -> int:
        """Gives the number of the text among those that were kept."""
        place = len(self._starts) - 1
        self._spool.write(content)
        self._starts.append(self._starts[-1] + len(content))
        if self._starts[-1] > self._desk.limits.total_bytes:
            raise InvalidError(
                "dataset_too_large", f"The texts have over {self._desk.limits.total_bytes:,} bytes. Send a smaller set."
            )
        return place

    def _count_row(self) -> None:
        self._rows += 1
        if self._rows > self._desk.limits.files:
            raise InvalidError(
                "too_many_files", f"There are more than {self._desk.limits.files:,} rows. Send a smaller set."
            )


def _text(value: object, limits: ImportLimits) -> bytes:
    if value is None:
        raise BadItemError("empty_text", "The row has no text. Add it.")
    if not isinstance(value, str):
        raise BadItemError("malformed_row", "The text is no string. Put it in quotes.")
    if not value.strip():
        raise BadItemError("empty_text", "The text is empty. Fill it in, or leave the row out.")
    if len(value) > limits.text_characters:
        raise BadItemError(
            "text_too_long", f"The text has {len(value):,} characters. Cut it to {limits.text_characters:,}."
        )
    return _encoded(value)


def _label(value: object, limits: ImportLimits) -> str:
    if isinstance(value, bool | int | float):
        value = json.dumps(value)
    if value is not None and not isinstance(value, str):
        raise BadItemError("malformed_row", "The label is no string, number or boolean. Name one class.")
    label = unicodedata.normalize("NFC", value or "").strip()
    if not label:
        raise BadItemError("empty_label", "The row has no label. Fill it in, or leave the row out.")
    if len(label) > limits.label_characters:
        raise BadItemError("label_too_long", f"The label is over {limits.label_characters} characters. Shorten it.")
    _encoded(label)
    return label


def _split(value: object) -> str | None:
    if value is None or value == "":
        return None
    split = SPLIT_NAMES.get(value.strip().lower()) if isinstance(value, str) else None
    if split is None:
        raise BadItemError("unknown_split", "The split is not known. Write train, validation or test.")
    return split


def _encoded(value: str) -> bytes:
    if "\0" in value:
        raise BadItemError("nul_character", "There is a NUL character in the row. Remove it.")
    try:
        return value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadItemError("lone_surrogate", "The row has half a surrogate pair (\\ud800…). Remove it.") from error
