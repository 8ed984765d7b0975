"""Image files in a zip archive: each is decoded once, by the decoder that training and serving use."""

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, Final

from models_store import processors
from models_store.errors import InvalidError
from models_store.preprocessing.decoding import open_image
from worker.importing.archive import Archive, Member
from worker.importing.candidates import Candidate, Desk, Progress
from worker.importing.duplicates.groups import Likeness, Numbers
from worker.importing.duplicates.images import Thumbnails, thumbnail
from worker.importing.layout import Layout, recognise
from worker.importing.oddities import ImageOddities
from worker.importing.paths import has_image_suffix
from worker.importing.problems import BadItemError, Problem

THREADS: Final = min(4, processors.usable())
"""Pillow decodes without the interpreter's lock; each thread may hold one image of the largest size."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is kept of an image that was decoded; sides in pixels, upright."""

    digest: int
    thumbnail: bytes
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class _Checking:
    """A file whose content is being decoded: to what is kept of it, or to what is wrong with it."""

    name: str
    label: str
    split: str | None
    place: int
    verdict: Future[_Seen]


class ImageSource:
    """The images of an archive. Their thumbnails go to ``rows``, a temporary file."""

    task = "image-classification"

    def __init__(self, archive: Archive, rows: IO[bytes], desk: Desk) -> None:
        self._archive, self._desk = archive, desk
        self._thumbnails = Thumbnails(rows)
        self._oddities = ImageOddities()

    def candidates(self, progress: Progress) -> Iterator[Candidate]:
        """See :class:`worker.importing.candidates.Source`; memory holds a few files at a time."""
        layout = recognise([member.parts for member in self._archive.members])
        waiting: deque[_Checking] = deque()
        with ThreadPoolExecutor(THREADS, thread_name_prefix="decode") as pool:
            for index, member in enumerate(self._archive.members):
                progress(index / len(self._archive.members))
                waiting.extend(self._begin(pool, layout, index, member))
                if len(waiting) > 2 * THREADS:
                    yield from self._end(waiting.popleft())
            for checking in waiting:
                yield from self._end(checking)

    def content(self, candidate: Candidate) -> bytes:
        """See :class:`worker.importing.candidates.Source`."""
        return self._archive.read_again(self._archive.members[candidate.place])

    def likeness(self, candidates: Sequence[Candidate], first: Numbers) -> Likeness:  # noqa: ARG002 - as all sources
        """See :class:`worker.importing.candidates.Source`."""
        return self._thumbnails.likeness(first)

    def oddities(self) -> list[Problem]:
        """See :class:`worker.importing.candidates.Source`."""
        return list(self._oddities.found())

    def _begin(self, pool: ThreadPoolExecutor, layout: Layout, index: int, member: Member) -> Iterator[_Checking]:
        name = layout.name(member.parts)
        try:
            placed = layout.place(member.parts)
            if placed is None:
                return
            split, label = placed
            self._check_label(label)
            content = self._archive.read(member)
        except BadItemError as error:
            self._desk.problems.refuse(name, error)
        else:
            verdict = pool.submit(_seen, content, self._desk.limits.pixels)
            yield _Checking(name, label, split, index, verdict)

    def _end(self, checking: _Checking) -> Iterator[Candidate]:
        name = checking.name
        try:
            seen = checking.verdict.result()
        except InvalidError as error:
            no_image = error.code == "unreadable_image" and not has_image_suffix((name,))
            code = "not_an_image" if no_image else error.code
            self._desk.problems.add(name, code, error.message)
        else:
            self._thumbnails.add(seen.thumbnail)
            self._oddities.add(name, seen.width, seen.height)
            yield Candidate(name, checking.label, checking.split, checking.place, seen.digest)

    def _check_label(self, label: str) -> None:
        limit = self._desk.limits.label_characters
        if len(label) > limit:
            raise BadItemError("label_too_long", f"The folder's name is over {limit} characters. Give a shorter one.")


def _seen(content: bytes, max_pixels: int) -> _Seen:
    image = open_image(content, max_pixels=max_pixels).image
    digest = int.from_bytes(hashlib.sha256(content).digest()[:8])
    return _Seen(digest, thumbnail(image), image.width, image.height)
