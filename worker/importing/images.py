"""Image files in a zip archive: each is decoded once, by the decoder that training and serving use."""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from models_store.errors import InvalidError
from models_store.preprocessing.decoding import open_image
from worker.importing.archive import Archive, Member
from worker.importing.candidates import Candidate, Desk, Progress
from worker.importing.layout import Layout, recognise
from worker.importing.paths import has_image_suffix
from worker.importing.problems import BadItemError

THREADS: Final = min(4, os.cpu_count() or 1)
"""Pillow decodes without the interpreter's lock; each thread may hold one image of the largest size."""


@dataclass(frozen=True, slots=True)
class _Checking:
    """A file whose content is being decoded: to its length in bytes, or to what is wrong with it."""

    candidate: Candidate
    verdict: Future[int]


class ImageSource:
    """The images of an archive."""

    task = "image-classification"

    def __init__(self, archive: Archive, desk: Desk) -> None:
        self._archive, self._desk = archive, desk

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
            candidate = Candidate(name, label, split, index, len(content))
            yield _Checking(candidate, pool.submit(_decoded_bytes, content, self._desk.limits.pixels))

    def _end(self, checking: _Checking) -> Iterator[Candidate]:
        candidate = checking.candidate
        try:
            checking.verdict.result()
        except InvalidError as error:
            no_image = error.code == "unreadable_image" and not has_image_suffix((candidate.name,))
            code = "not_an_image" if no_image else error.code
            self._desk.problems.add(candidate.name, code, error.message)
        else:
            yield candidate

    def _check_label(self, label: str) -> None:
        limit = self._desk.limits.label_characters
        if len(label) > limit:
            raise BadItemError("label_too_long", f"The folder's name is over {limit} characters. Give a shorter one.")


def _decoded_bytes(content: bytes, max_pixels: int) -> int:
    open_image(content, max_pixels=max_pixels)
    return len(content)
