"""What every kind of upload gives to the import: items that were checked, whose content is read again when written."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from worker.importing.duplicates.groups import Likeness, Numbers
from worker.importing.limits import ImportLimits
from worker.importing.problems import Problem, Problems

Progress = Callable[[float], None]
"""Is told the fraction that is done, very often; what it raises ends the import."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An item that was found good.

    ``split`` is None where the upload does not say; ``place`` tells its source where the content lies. ``digest`` is 64
    bits of a hash of the content, by which identical items are known; ``group`` is that of its copies, if it has any.
    """

    name: str
    label: str
    split: str | None
    place: int
    digest: int
    group: int | None = None


class Source(Protocol):
    """An upload that is open for reading."""

    @property
    def task(self) -> str:
        """``image-classification`` or ``text-classification``."""

    def candidates(self, progress: Progress) -> Iterator[Candidate]:
        """Check every item once; bad ones are listed as problems.

        Raises:
            InvalidError: the upload as a whole cannot be used.
        """

    def content(self, candidate: Candidate) -> bytes:
        """The bytes to keep of a good item."""

    def likeness(self, candidates: Sequence[Candidate], first: Numbers) -> Likeness:
        """Compare the contents of the candidates of these numbers; ``candidates`` are all, in their order."""

    def oddities(self) -> list[Problem]:
        """What looks odd in the good items, once they all were checked."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What a source works with: limits, the list of problems, and a folder for temporary files."""

    limits: ImportLimits
    problems: Problems
    scratch: Path
