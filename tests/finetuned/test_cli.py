"""The command line: what it prints, and how it fails."""

import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from finetuned.port import free_port
from tests.finetuned.stub import Stub, serving


@pytest.fixture(scope="module")
def stub() -> Iterator[Stub]:
    with serving() as stub:
        yield stub


def _finetuned(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "FINETUNED_URL": url, "FINETUNED_API_KEY": "ft_key"}
    command = [sys.executable, "-m", "finetuned", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_train_uploads_queues_and_waits(stub: Stub, tmp_path: Path) -> None:
    stub.polls_until_ended = 0
    (tmp_path / "reviews.csv").write_text("text,label\n")

    done = _finetuned(
        stub.url, "train", str(tmp_path / "reviews.csv"), "--backbone", "hf/x", "--epochs", "3", "--wait", "--json"
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "succeeded"
    assert stub.bodies[-1] == {"dataset": "ds_1", "backbone": "hf/x", "training": {"max_epochs": 3}}


def test_predictions_are_printed_beside_their_inputs(stub: Stub) -> None:
    done = _finetuned(stub.url, "predict", "mdl_1", "a [bold]joy[/bold]")

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].split() == ["a", "[bold]joy[/bold]", "good", "0.75"]


def test_report_shows_the_classes_and_the_items_whose_labels_may_be_wrong(stub: Stub) -> None:
    done = _finetuned(stub.url, "report", "mdl_1")

    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["accuracy", "0.75"] in lines
    assert ["temperature", "1.25"] in lines
    assert ["긍정", "1", "0.5", "0.667", "2"] in lines
    assert ["17", "train.csv:18", "긍정", "부정", "0.99"] in lines


def test_evaluate_waits_and_prints_the_report(stub: Stub) -> None:
    stub.polls_until_ended = 1

    done = _finetuned(stub.url, "evaluate", "mdl_1", "ds_7", "--json")

    assert done.returncode == 0, done.stderr
    assert stub.bodies[-1] == {"dataset": "ds_7"}
    assert json.loads(done.stdout)["mistakes"][0]["label"] == "긍정"


def test_a_model_is_downloaded_and_its_path_printed(stub: Stub, tmp_path: Path) -> None:
    done = _finetuned(stub.url, "models", "download", "개미@production", "--to", str(tmp_path), "--format", "ckpt")

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "개미-v3.ckpt")
    assert (tmp_path / "개미-v3.ckpt").read_text() == "the first half, the second half"


def test_promoting_says_what_the_alias_means_now(stub: Stub) -> None:
    done = _finetuned(stub.url, "models", "promote", "mdl_1", "best")

    assert (done.returncode, done.stdout.strip()) == (0, "개미@best is version 3 now."), done.stderr
    assert stub.aliases == {"best": "mdl_1"}


def test_json_is_printed_whole(stub: Stub) -> None:
    done = _finetuned(stub.url, "jobs", "list", "--limit", "2", "--json")

    assert json.loads(done.stdout) == [{"id": "job_0"}, {"id": "job_1"}]


def test_refusal_is_one_line_and_a_failure(stub: Stub) -> None:
    done = _finetuned(stub.url, "jobs", "show", "job_7")

    assert done.returncode == 4
    assert done.stdout == ""
    assert done.stderr == "Error: No such job. List them. (not_found)\n"


def test_missing_file_is_one_line_and_a_failure(stub: Stub) -> None:
    done = _finetuned(stub.url, "train", "nothing.zip", "--backbone", "hf/x")

    assert done.returncode == 2
    assert done.stderr == "Error: There is no file or folder nothing.zip. Check the path.\n"


def test_service_that_does_not_answer_is_one_line_and_a_failure() -> None:
    done = _finetuned(f"http://127.0.0.1:{free_port('127.0.0.1')}", "models", "list")

    assert done.returncode == 6
    assert done.stderr.startswith("Error: No answer from ")
    assert len(done.stderr.splitlines()) == 1


def test_up_on_a_port_in_use_starts_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])

        done = _finetuned("", "up", "--port", port, "--data-dir", str(tmp_path / "data"))

    assert done.returncode == 1
    assert f"Cannot listen on 127.0.0.1:{port}" in done.stderr
    assert [file.name for file in (tmp_path / "data").iterdir()] == ["up.lock"]
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_down_where_nothing_runs_is_a_failure(tmp_path: Path) -> None:
    done = _finetuned("", "down", "--data-dir", str(tmp_path))

    assert done.returncode == 1
    assert "Nothing runs on" in done.stderr
