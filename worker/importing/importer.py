"""The import of one upload, from the file to the published item set; read from top to bottom."""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, Protocol, TypedDict

import numpy as np

from models_store.artifacts import publish_directory, temporary_directory_beside
from models_store.errors import InvalidError
from models_store.itemset import SPLITS, ItemSetWriter
from worker.importing.archive import Archive, Member, open_archive
from worker.importing.candidates import Candidate, Desk, Progress, Source
from worker.importing.draw import Draw
from worker.importing.duplicates.findings import findings
from worker.importing.duplicates.groups import ALONE, copies
from worker.importing.images import ImageSource
from worker.importing.limits import ImportLimits
from worker.importing.oddities import uneven_classes
from worker.importing.paths import has_image_suffix, suffix
from worker.importing.problems import ImportFailedError, Problem, Problems
from worker.importing.rows import ROW_READERS
from worker.importing.splits import SPLIT_NAMES, Arranged, arrange
from worker.importing.texts import Table, TextSource

_CHECKING: Final = 0.75
_COMPARING: Final = 0.05
"""Shares of the whole that it takes to check the items and to find copies; the rest is writing them."""


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What the user asked: the task to insist on, and how a validation split is drawn where none is given.

    ``split`` is ``given``, or ``grouped`` to draw it although the upload brings one.
    """

    task: str | None = None
    validation_fraction: float = 0.2
    seed: int = 0
    split: str = "given"


class ClassCount(TypedDict):
    """A class and how many good items it has in all splits."""

    label: str
    count: int


@dataclass(frozen=True)
class ImportResult:
    """What the item set holds; ``bytes`` is the size of all contents.

    ``problems`` lists what was left out or must be acted on, ``warnings`` what else may matter.
    """

    task: str
    classes: list[ClassCount]
    splits: dict[str, int]
    fingerprint: str
    bytes: int
    problems: list[Problem]
    warnings: list[Problem]


def import_upload(
    upload: Path,
    filename: str,
    options: ImportOptions,
    destination: Path,
    limits: ImportLimits,
    progress: Progress,
) -> ImportResult:
    """Check every item of an upload and publish the good ones as ``destination / <hex fingerprint>``.

    May run twice: the same upload with the same options gives the same folder. Nothing is left behind by an import
    that fails, and the next one sweeps up after one that was killed.

    Args:
        filename: as the user named it; its ending tells the kind (.zip, .csv, .jsonl).
        progress: is told the fraction done, very often; what it raises ends the import.

    Raises:
        ImportFailedError: the upload cannot be used; carries all problems found.
        OSError: the disk is full, or a file cannot be read or written.
    """
    problems = Problems(limits.problems)
    try:
        with temporary_directory_beside(destination / "new") as scratch:
            desk = Desk(limits, problems, scratch)
            with _opened(upload, filename, desk) as source:
                return _import(source, options, destination, desk, progress)
    except InvalidError as error:
        raise ImportFailedError(error.code, error.message, problems.found) from error


def _import(source: Source, options: ImportOptions, destination: Path, desk: Desk, progress: Progress) -> ImportResult:
    _check_task(source, options)
    candidates = list(source.candidates(lambda fraction: progress(fraction * _CHECKING)))
    _tell_copies(candidates, source, lambda: progress(_CHECKING))
    arranged = arrange(candidates, _draw(source, options), desk.limits, desk.problems)
    written = _CHECKING + _COMPARING
    folder = desk.scratch / "items"
    folder.mkdir()
    with ItemSetWriter(folder) as writer:
        for done, (split, candidate) in enumerate(arranged):
            progress(written + (1 - written) * done / len(arranged))
            writer.add(candidate.name, candidate.label, split, source.content(candidate))
        fingerprint = writer.finish()
    publish_directory(folder, destination / fingerprint.removeprefix("sha256:"))
    progress(1.0)
    problems = desk.problems.found + findings(arranged, regrouped=options.split == "grouped")
    return _result(source, arranged, fingerprint, writer.bytes, problems)


def _tell_copies(candidates: list[Candidate], source: Source, progress: Callable[[], None]) -> None:
    """Give its group to every candidate that has copies."""
    digests = np.fromiter((candidate.digest for candidate in candidates), np.uint64, len(candidates))
    groups = copies(digests, lambda first: source.likeness(candidates, first), progress)
    for number in np.flatnonzero(groups != ALONE).tolist():
        candidates[number] = replace(candidates[number], group=int(groups[number]))


def _draw(source: Source, options: ImportOptions) -> Draw:
    # A text is named by its line: were it drawn by name, the order of the rows would decide.
    by_content = source.task == TextSource.task
    return Draw(options.validation_fraction, options.seed, options.split == "grouped", by_content)


def _check_task(source: Source, options: ImportOptions) -> None:
    if options.task is not None and options.task != source.task:
        raise InvalidError(
            "task_mismatch",
            f"The file holds data for {source.task}, not for {options.task}. Leave out the task, or send another file.",
        )


def _result(source: Source, arranged: Arranged, fingerprint: str, size: int, problems: list[Problem]) -> ImportResult:
    classes = Counter(candidate.label for _split, candidate in arranged)
    training = Counter(candidate.label for split, candidate in arranged if split == "train")
    splits = Counter(split for split, _candidate in arranged)
    return ImportResult(
        task=source.task,
        classes=[{"label": label, "count": count} for label, count in sorted(classes.items())],
        splits={split: splits[split] for split in SPLITS},
        fingerprint=fingerprint,
        bytes=size,
        problems=problems,
        warnings=[*uneven_classes(training), *source.oddities()],
    )


class _Opener(Protocol):
    def __call__(self, upload: Path, filename: str, desk: Desk) -> AbstractContextManager[Source]: ...


def _opened(upload: Path, filename: str, desk: Desk) -> AbstractContextManager[Source]:
    opener = _OPENERS.get(suffix(filename))
    if opener is None:
        raise InvalidError(
            "unsupported_file",
            f"{filename[:100]!r} is of no known kind. Send a .zip of images, or .csv or .jsonl texts.",
        )
    return opener(upload, filename, desk)


@contextmanager
def _open_table(upload: Path, filename: str, desk: Desk) -> Iterator[Source]:
    size = upload.stat().st_size
    table = Table(filename, suffix(filename), None, "", size, lambda: upload.open("rb"))
    with tempfile.TemporaryFile(dir=desk.scratch) as spool, tempfile.TemporaryFile(dir=desk.scratch) as rows:
        yield TextSource([table], spool, rows, desk)


@contextmanager
def _open_zip(upload: Path, filename: str, desk: Desk) -> Iterator[Source]:  # noqa: ARG001 - as all openers
    with open_archive(upload, desk) as archive, tempfile.TemporaryFile(dir=desk.scratch) as rows:
        tables = _tables(archive)
        if not tables:
            yield ImageSource(archive, rows, desk)
            return
        with tempfile.TemporaryFile(dir=desk.scratch) as spool:
            yield TextSource(tables, spool, rows, desk)


_OPENERS: Final[dict[str, _Opener]] = {
    ".zip": _open_zip,
    ".csv": _open_table,
    ".jsonl": _open_table,
}
"""Ending of the upload's name → how it is opened."""


def _tables(archive: Archive) -> list[Table]:
    """The tables of an archive of texts: train, val and test as files of one folder, and no image beside them."""
    tables = {member: table for member in archive.members if (table := _table(archive, member)) is not None}
    if len({member.parts[:-1] for member in tables}) > 1 or any(has_image_suffix(m.parts) for m in archive.members):
        return []
    return list(tables.values())


def _table(archive: Archive, member: Member) -> Table | None:
    name = member.parts[-1]
    ending = suffix(name)
    split = SPLIT_NAMES.get(name.lower().removesuffix(ending))
    if len(member.parts) > 2 or split is None or ending not in ROW_READERS:
        return None
    return Table(name, ending, split, f"{name} ", member.info.file_size, partial(archive.open, member))
