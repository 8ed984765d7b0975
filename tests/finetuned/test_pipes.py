"""Pipes, interruptions, and what the shell completes: real processes."""

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial

import pytest

from tests.finetuned.stub import Stub, serving
from tests.finetuned.waiting import until


@pytest.fixture
def stub() -> Iterator[Stub]:
    with serving() as stub:
        yield stub


def _environment(stub: Stub, **more: str) -> dict[str, str]:
    return {**os.environ, "FINETUNED_URL": stub.url, "FINETUNED_API_KEY": "ft_key", **more}


def _finetuned(stub: Stub, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "finetuned", *arguments]
    return subprocess.run(
        command, input=stdin, env=_environment(stub), capture_output=True, text=True, timeout=60, check=False
    )


def _started(stub: Stub, *arguments: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    command = [sys.executable, "-m", "finetuned", *arguments]
    # Who starts the tests in the background of a shell has Ctrl-C ignored, and so would their children.
    hearing = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen(
        command, env=_environment(stub), stdin=pipe, stdout=pipe, stderr=pipe, text=True, preexec_fn=hearing
    )


def test_lines_of_a_pipe_become_rows(stub: Stub) -> None:
    done = _finetuned(stub, "predict", "mdl_1", "-", stdin='a "fine", film\n줄\n')

    assert done.returncode == 0, done.stderr
    assert list(csv.reader(done.stdout.splitlines())) == [
        ["input", "label", "score", "error"],
        ['a "fine", film', "good", "0.75", ""],
        ["줄", "good", "0.75", ""],
    ]


def test_a_line_is_answered_before_the_next_is_there(stub: Stub) -> None:
    process = _started(stub, "predict", "mdl_1", "-", "--json")
    assert process.stdin is not None
    assert process.stdout is not None
    for line in ("one", "two"):
        process.stdin.write(f"{line}\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["input"] == line

    process.stdin.close()
    assert process.wait(20) == 0
    assert [body["inputs"] for body in stub.bodies] == [["one"], ["two"]]


def test_many_lines_go_in_few_requests(stub: Stub) -> None:
    done = _finetuned(stub, "predict", "mdl_1", "-", "--format", "jsonl", stdin="a text\n" * 1000)

    assert len(done.stdout.splitlines()) == 1000
    assert sum(len(body["inputs"]) for body in stub.bodies) == 1000
    assert len(stub.bodies) <= 10


def test_a_picture_that_is_not_there_fails_alone(stub: Stub) -> None:
    stub.task = "image-classification"

    done = _finetuned(stub, "predict", "mdl_1", "-", "--json", stdin=f"{__file__}\ngone.png\n")

    assert done.returncode == 1
    found, missing = map(json.loads, done.stdout.splitlines())
    assert found["label"] == "good"
    assert missing["error"]["code"] == "no_such_file"


def test_a_reader_that_leaves_is_no_error(stub: Stub) -> None:
    command = f"{sys.executable} -m finetuned jobs list --limit 200 --json | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], env=_environment(stub), capture_output=True, text=True, timeout=60, check=False
    )

    assert done.stdout.splitlines() == ["[", "0"]
    assert done.stderr == ""


@pytest.mark.parametrize("flags", [(), ("--cancel-on-interrupt",)], ids=["left", "cancelled"])
def test_an_interrupted_wait_says_how_to_go_on(stub: Stub, flags: tuple[str, ...]) -> None:
    stub.polls_until_ended = 10_000
    process = _started(stub, "jobs", "watch", "job_1", *flags)
    until(lambda: sum(headers["path"] == "/jobs/job_1" for headers in stub.headers) > 2, "it waits")

    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=20)

    assert process.returncode == 130
    assert any(headers["path"] == "/jobs/job_1/cancel" for headers in stub.headers) is bool(flags)
    assert ("is being cancelled" if flags else "finetuned jobs watch job_1") in told


def test_a_log_is_followed_to_the_end(stub: Stub) -> None:
    stub.events = [
        [{"id": 1, "type": "log", "data": {"message": "2 of 3 items came from the cache"}}],
        [{"id": 2, "type": "status", "data": {"status": "succeeded"}}],
    ]

    done = _finetuned(stub, "jobs", "logs", "job_1", "--follow")

    assert done.stdout.splitlines() == [
        "log      message=2 of 3 items came from the cache",
        "status   status=succeeded",
    ]


def test_the_shell_is_offered_ids_that_begin_so(stub: Stub) -> None:
    line = "finetuned jobs show job_24"
    environment = _environment(stub, _FINETUNED_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD="3")
    said = subprocess.check_output([sys.executable, "-m", "finetuned"], env=environment, text=True, timeout=60)

    assert said.split() == ["job_24", *(f"job_24{digit}" for digit in range(10))]


def test_the_shell_is_offered_nothing_where_nobody_answers(stub: Stub) -> None:
    line = "finetuned jobs show job_"
    environment = _environment(stub, _FINETUNED_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD="3")
    environment["FINETUNED_URL"] = "http://127.0.0.1:9"
    done = subprocess.run(
        [sys.executable, "-m", "finetuned"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.stdout.strip(), done.stderr) == ("", "")
