"""Exit codes, and errors as JSON."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from finetuned.cli import main
from finetuned.port import free_port
from tests.finetuned.stub import Mishap, Stub, serving


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: object
    out: str
    err: str


Type = Callable[..., Done]


@pytest.fixture(scope="module")
def stub() -> Iterator[Stub]:
    with serving() as stub:
        yield stub


@pytest.fixture
def type_(stub: Stub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Type:
    """Types a command of the client against the stub."""
    monkeypatch.setenv("FINETUNED_URL", stub.url)
    monkeypatch.setenv("FINETUNED_API_KEY", "ft_key")
    stub.mishaps, stub.polls_until_ended = [], 0
    stub.job = {"id": "job_1", "name": "a job", "status": "running", "backbone": "hf/x"}

    def typed(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["finetuned", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return Done(ended.value.code, *capsys.readouterr())

    return typed


@pytest.mark.parametrize("as_json", [(), ("--json",)], ids=["people", "json"])
@pytest.mark.parametrize(
    ("status", "code"),
    [(400, 3), (401, 5), (403, 5), (404, 4), (409, 3), (413, 3), (422, 3), (429, 6), (500, 1)],
)
def test_a_refusal_has_the_exit_code_of_its_kind(
    type_: Type, stub: Stub, status: int, code: int, as_json: tuple[str, ...]
) -> None:
    stub.mishaps = [Mishap(status)]

    done = type_("jobs", "show", "job_1", *as_json)

    assert (done.code, done.out) == (code, "")
    if as_json:
        told = json.loads(done.err)
        assert (told["exit_code"], told["error"]["code"], told["error"]["status"]) == (code, "not_now", status)
    else:
        assert done.err.startswith("Error: Not now. Come again. (not_now)")


def test_nobody_answers_is_6(type_: Type) -> None:
    done = type_("jobs", "show", "job_1", "--url", f"http://127.0.0.1:{free_port('127.0.0.1')}", "--json")

    assert done.code == 6
    assert json.loads(done.err)["error"]["code"] == "unreachable"


def test_a_wait_that_takes_too_long_is_6(type_: Type, stub: Stub) -> None:
    stub.polls_until_ended = 1000

    done = type_("jobs", "watch", "job_1", "--timeout", "0.1", "--json")

    assert done.code == 6
    assert "job_1 is running after 0.1 s" in json.loads(done.err)["error"]["message"]


@pytest.mark.parametrize(
    "arguments",
    [("jobs", "shaw"), ("jobs", "show"), ("jobs", "list", "--limit", "0"), ("train", "nothing.zip", "--backbone", "x")],
    ids=" ".join,
)
@pytest.mark.parametrize("as_json", [(), ("--json",)], ids=["people", "json"])
def test_a_wrong_command_line_is_2(type_: Type, arguments: tuple[str, ...], as_json: tuple[str, ...]) -> None:
    done = type_(*arguments, *as_json)

    assert (done.code, done.out) == (2, "")
    if as_json:
        assert json.loads(done.err)["exit_code"] == 2


def test_a_job_that_failed_is_1_and_shown(type_: Type, stub: Stub) -> None:
    stub.job = {**stub.job, "status": "failed", "error": {"code": "diverged", "message": "The loss is not a number."}}
    stub.polls_until_ended = 10

    done = type_("jobs", "watch", "job_1", "--json")

    assert done.code == 1
    assert json.loads(done.out)["status"] == "failed"
    assert json.loads(done.err)["error"]["code"] == "diverged"


def test_json_is_given_by_what_changes_things_too(type_: Type, stub: Stub) -> None:
    assert json.loads(type_("jobs", "cancel", "job_1", "--json").out)["cancel_requested"] is True
    assert json.loads(type_("models", "promote", "mdl_1", "best", "--json").out)["aliases"] == ["best"]
    assert json.loads(type_("models", "demote", "mdl_1", "best", "--json").out) == {"removed": "best"}
    assert stub.aliases == {}


def test_the_address_and_key_of_the_command_line_win(type_: Type, stub: Stub) -> None:
    type_("jobs", "show", "job_1", "--key", "ft_other")

    assert stub.headers[-1]["authorization"] == "Bearer ft_other"


def test_a_file_that_is_not_there_is_named(type_: Type, tmp_path: Path) -> None:
    done = type_("weights", "add", "hf/x", "--file", str(tmp_path / "gone.pth"))

    assert (done.code, done.err) == (2, f"Error: There is no file or folder {tmp_path / 'gone.pth'}. Check the path.\n")
