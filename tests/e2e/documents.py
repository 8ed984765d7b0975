"""Runs the commands of a document as a reader would type them, and compares what comes with what it shows.

In an indented block a line that starts with ``$`` is a command, with the lines that it goes on in; what follows, up to
the next, is its answer. There … stands for anything, numbers, times, hashes and ids stand for any others, and how lines
are wrapped is no matter. An id that was shown stands, in later commands, for the one that really came.
"""

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt

_ID: Final = r"\b(?:ds|job|mdl|ckpt|key)_[0-9a-z]{20,}"
_STANDS_FOR: Final = {
    "…": ".*?",
    _ID: f"({_ID})",
    r"\b[0-9a-f]{32,}\b": "[0-9a-f]{32,}",
    "[━╸╺]+": "[━╸╺]*",
    r"-?\d[\d.,:+TZ]*(?:e-?\d+)?": r"-?\d[\d.,:+TZ]*(?:e-?\d+)?",
}
_VARIABLE: Final = re.compile("|".join(f"({pattern})" for pattern in _STANDS_FOR))


@dataclass(frozen=True)
class Step:
    """A command, and the answer that the document shows."""

    command: str
    shown: str

    @property
    def lasts(self) -> bool:
        """Whether it goes on until it is stopped."""
        return self.command.endswith("finetuned up")

    def compare(self, came: str) -> Sequence[str]:
        """Hold an answer to the one that is shown; gives the ids that came in the place of those that are shown."""
        found = re.search(_pattern(self.shown), came, re.DOTALL)
        assert found, f"$ {self.command}\nshould say:\n{self.shown}\nand says:\n{came}"
        return found.groups()


def steps(document: Path) -> Iterator[Step]:
    """The commands of a document in their order."""
    for token in MarkdownIt().parse(document.read_text("utf-8")):
        if token.type == "code_block":
            yield from _of_block(token.content.splitlines())


def _of_block(lines: list[str]) -> Iterator[Step]:
    starts = [place for place, line in enumerate(lines) if line.startswith("$ ")]
    for start, end in pairwise([*starts, len(lines)] if starts else []):
        length = next(count for count in range(1, end - start + 1) if _is_whole(lines[start : start + count]))
        command = "\n".join(lines[start : start + length]).removeprefix("$ ")
        yield Step(command, "\n".join(lines[start + length : end]))


def _is_whole(lines: list[str]) -> bool:
    """Whether the shell would not wait for another line."""
    text = "\n".join(lines).removeprefix("$ ")
    asked = subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True, check=False)
    return not text.endswith("\\") and not asked.stderr


class Reader:
    """Somebody who follows documents in a folder, whose shell keeps its variables.

    Args:
        programs: the folder that the documents call ``.venv/bin``.
        env: the whole environment.
    """

    def __init__(self, folder: Path, programs: Path, env: Mapping[str, str]) -> None:
        self._folder, self._programs, self._env = folder, programs, dict(env)
        self._ids: dict[str, str] = {}
        self._before = ""

    def take(self, step: Step, seconds: float = 180) -> None:
        """Type a command, and compare its answer with the one that is shown."""
        came = self._type(step.command, seconds)
        self._ids.update(zip(re.findall(_ID, step.shown), step.compare(came), strict=True))

    def _type(self, command: str, seconds: float) -> str:
        for shown, came in self._ids.items():
            command = command.replace(shown, came)
        command = command.replace(".venv/bin/", f"{self._programs}/").replace(".venv/lib/", f"{self._programs}/../lib/")
        script = f"{self._before}\n{command}"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self._folder,
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
        )
        if re.fullmatch(r"(\w+=\S+ ?|\w+=\$\([^)]*\) ?)+", command):
            self._before += f"\n{command}"
        return done.stdout


def _pattern(shown: str) -> str:
    """As a regular expression; where there is a space, there may be others or none."""
    return r"\s*".join(_of_word(word) for word in shown.split())


def _of_word(word: str) -> str:
    parts, end = [], 0
    for match in _VARIABLE.finditer(word):
        parts += [re.escape(word[end : match.start()]), list(_STANDS_FOR.values())[(match.lastindex or 1) - 1]]
        end = match.end()
    return "".join([*parts, re.escape(word[end:])])
