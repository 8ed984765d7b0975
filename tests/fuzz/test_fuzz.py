"""Some hundred damaged files for everything that reads files of users; ``FINETUNED_FUZZ_SECONDS`` gives more time."""

import os

import pytest

from tests.fuzz import running
from tests.fuzz.targets import TARGETS, Target

_FILES = {"image": 400, "archive": 60, "csv": 60, "jsonl": 60, "checkpoint": 150, "safetensors": 150, "form": 1000}


@pytest.mark.parametrize("target", TARGETS)
def test_no_damaged_file_does_more_than_to_be_refused(target: str) -> None:
    seconds = float(os.environ.get("FINETUNED_FUZZ_SECONDS", "0"))
    seed = int(os.environ.get("FINETUNED_FUZZ_SEED", "0"))
    count = None if seconds else _FILES[target]
    done = running.run(target, seed, count=count, seconds=seconds or None)
    assert done.executions >= (count or 1)
    assert [(finding.number, finding.what) for finding in done.findings] == []


@pytest.mark.parametrize("target", TARGETS)
def test_the_files_that_it_begins_from_are_taken(target: str) -> None:
    for content in TARGETS[target].seeds:
        TARGETS[target].run(content)


def _raise(content: bytes) -> None:
    if len(content) % 2:
        raise KeyError(len(content))


def _die(_content: bytes) -> None:
    os.abort()


def _loop(_content: bytes) -> None:
    while True:
        pass


@pytest.mark.parametrize(("broken", "said"), [(_raise, "KeyError"), (_die, "SIGABRT"), (_loop, "SIGPROF")])
def test_what_a_broken_reader_does_is_found(broken: object, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TARGETS, "broken", Target(broken, [b"x", b"xy"]))  # type: ignore[arg-type]
    monkeypatch.setattr(running, "SECONDS_EACH", 0.2)
    done = running.run("broken", 0, count=3)
    assert done.executions == 3
    assert done.findings
    assert said in done.findings[0].what
