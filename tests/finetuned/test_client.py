"""The Python client against a real HTTP server."""

import base64
import io
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from finetuned import ApiError, Client
from finetuned.port import free_port
from tests.finetuned.stub import REPORT, Stub, serving


@pytest.fixture
def stub() -> Iterator[Stub]:
    with serving() as stub:
        yield stub


@pytest.fixture
def client(stub: Stub) -> Iterator[Client]:
    with Client(stub.url, "ft_key", timeout=20, patience=1) as client:
        yield client


def test_key_is_sent_as_a_bearer(client: Client, stub: Stub) -> None:
    client.job("job_1")

    assert stub.headers[-1]["authorization"] == "Bearer ft_key"


def test_refusal_carries_all_of_the_problem(client: Client) -> None:
    with pytest.raises(ApiError) as refused:
        client.create_job(dataset="ds_1", backbone="unknown")

    error = refused.value
    assert (error.status, error.code, error.request_id) == (422, "unknown_backbone", "req_1")
    assert error.errors == [{"loc": ["body", "backbone"], "msg": "unknown"}]
    assert str(error) == "There is no such backbone. See /backbones. (unknown_backbone); body.backbone: unknown"


def test_service_that_does_not_answer_is_named() -> None:
    url = f"http://127.0.0.1:{free_port('127.0.0.1')}"

    with Client(url, "ft_key") as client, pytest.raises(ApiError, match=url) as refused:
        client.job("job_1")

    assert (refused.value.status, refused.value.code) == (0, "unreachable")


def test_answer_of_some_other_program_is_told_apart(client: Client) -> None:
    with pytest.raises(ApiError, match="no finetuned service"):
        list(client.backbones())


def test_upload_sends_file_and_fields_and_waits_for_the_import(client: Client, stub: Stub, tmp_path: Path) -> None:
    file = tmp_path / "reviews.csv"
    file.write_bytes(b"text,label\ngood,yes\n")

    dataset = client.upload_dataset(file, validation_fraction=0.3, seed=7, split="grouped")

    assert dataset["status"] == "ready"
    assert stub.uploads == [
        {
            "filename": "reviews.csv",
            "content": b"text,label\ngood,yes\n",
            "name": "reviews",
            "validation_fraction": "0.3",
            "seed": "7",
            "split": "grouped",
        }
    ]


def test_checkpoint_is_sent_with_its_name_and_architecture(client: Client, stub: Stub, tmp_path: Path) -> None:
    file = tmp_path / "인코더.ckpt"
    file.write_bytes(b"tensors")

    client.upload_checkpoint(file, "plugin/autoencoder")

    assert stub.uploads == [
        {"filename": "인코더.ckpt", "content": b"tensors", "name": "인코더", "architecture": "plugin/autoencoder"}
    ]


def test_upload_without_waiting_returns_at_once(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "reviews.csv"
    file.write_bytes(b"text,label\n")

    assert client.upload_dataset(file, wait=False)["status"] == "processing"


def test_folder_is_uploaded_as_a_zip(client: Client, stub: Stub, tmp_path: Path) -> None:
    (tmp_path / "pets" / "cats").mkdir(parents=True)
    (tmp_path / "pets" / "cats" / "1.png").write_bytes(b"a cat")

    client.upload_dataset(tmp_path / "pets", wait=False)

    assert stub.uploads[0]["filename"] == "pets.zip"
    with zipfile.ZipFile(io.BytesIO(stub.uploads[0]["content"])) as archive:
        assert archive.read("cats/1.png") == b"a cat"


def test_missing_file_is_named(client: Client, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.zip"):
        client.upload_dataset(tmp_path / "nothing.zip")


def test_weights_are_sent_with_their_names(client: Client, stub: Stub, tmp_path: Path) -> None:
    (tmp_path / "lite0.pth").write_bytes(b"weights")

    client.add_weights("timm/tf_efficientnet_lite0", tmp_path / "lite0.pth", "in1k")

    sent = {"filename": "lite0.pth", "content": b"weights", "backbone": "timm/tf_efficientnet_lite0", "weights": "in1k"}
    assert stub.uploads == [sent]


def test_body_of_a_job_is_sent_as_it_is_given(client: Client, stub: Stub) -> None:
    client.create_job(dataset="ds_1", backbone="hf/x", weights=None, training={"max_epochs": 2}, idempotency_key="once")

    assert stub.bodies == [{"dataset": "ds_1", "backbone": "hf/x", "weights": None, "training": {"max_epochs": 2}}]
    assert stub.headers[-1]["idempotency-key"] == "once"


def test_waiting_for_a_job_shows_each_state_and_returns_the_last(client: Client, stub: Stub) -> None:
    seen: list[str] = []

    job = client.wait_job("job_1", lambda job: seen.append(job.status))

    assert job.status == "succeeded"
    assert seen == ["running", "running", "succeeded"]
    assert stub.headers[-1]["prefer"] == "wait=1"


def test_waiting_without_a_listener_lets_the_service_hold_the_answer(client: Client, stub: Stub) -> None:
    client.wait_job("job_1")

    assert stub.headers[-1]["prefer"] == "wait=10"


def test_waiting_for_a_job_that_is_not_there_is_refused_at_once(client: Client) -> None:
    with pytest.raises(ApiError, match="not_found"):
        client.wait_job("job_2")


def test_list_is_followed_to_its_end(client: Client, stub: Stub) -> None:
    assert [job["id"] for job in client.jobs()] == [f"job_{number}" for number in range(250)]
    assert stub.pages == [None, "job_99", "job_199"]


def test_page_that_nobody_reaches_is_not_fetched(client: Client, stub: Stub) -> None:
    assert len(list(islice(client.jobs(), 20))) == 20
    assert stub.pages == [None]


@pytest.mark.parametrize("one", ["a text", ["a text"]])
def test_text_is_predicted_as_it_is(client: Client, stub: Stub, one: Any) -> None:
    predictions = client.predict("mdl_1", one, top_k=2, logits=True)

    assert [(prediction.label, prediction.score) for prediction in predictions] == [("good", 0.75)]
    assert stub.bodies == [{"model": "mdl_1", "inputs": ["a text"], "parameters": {"top_k": 2, "logits": True}}]


def test_images_are_sent_in_base64(client: Client, stub: Stub, tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"from a file")

    client.predict("pets@production", [tmp_path / "1.png", b"from memory"])

    assert [base64.b64decode(item) for item in stub.bodies[0]["inputs"]] == [b"from a file", b"from memory"]


def test_a_models_report_is_given(client: Client) -> None:
    assert client.report("insects@production").raw == REPORT


def test_an_evaluation_is_a_job_to_wait_for(client: Client, stub: Stub) -> None:
    job = client.evaluate("insects@production", "ds_1")

    assert stub.bodies == [{"dataset": "ds_1"}]
    assert client.wait_job(job.id)["report"] == REPORT


def test_health_and_readiness_are_told_apart(client: Client) -> None:
    assert client.healthz()
    assert not client.readyz()


def test_key_file_of_this_machine_is_used_for_this_machine_alone(
    stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "admin.key").write_text("ft_local\n")
    monkeypatch.setenv("FINETUNED_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("FINETUNED_API_KEY", raising=False)
    with Client(stub.url) as client:
        client.healthz()
    assert stub.headers[-1]["authorization"] == "Bearer ft_local"

    elsewhere = stub.url.replace("127.0.0.1", "0.0.0.0")  # noqa: S104 - reached, not bound
    with Client(elsewhere) as client:
        client.healthz()
    assert "authorization" not in stub.headers[-1]


def test_import_needs_httpx_alone() -> None:
    heavy = "{'torch', 'fastapi', 'celery', 'sqlalchemy', 'pydantic', 'typer'}"
    program = f"import sys; from finetuned import Client; print(sorted({heavy} & sys.modules.keys()))"

    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "[]\n"


def test_a_download_takes_the_models_name_in_a_folder_and_any_other_as_it_is(client: Client, tmp_path: Path) -> None:
    assert client.download("개미@production", tmp_path) == tmp_path / "개미-v3.zip"
    assert client.download("mdl_1", tmp_path / "mine.ckpt", "ckpt") == tmp_path / "mine.ckpt"

    assert {path.read_text() for path in tmp_path.iterdir()} == {"the first half, the second half"}
    assert len(list(tmp_path.iterdir())) == 2


def test_a_name_too_long_for_a_file_is_cut_between_letters(client: Client, stub: Stub, tmp_path: Path) -> None:
    stub.model_file = "개미" * 100

    name = client.download("mdl_1", tmp_path).name

    assert name == "개미" * 39 + ".zip"


def test_a_name_that_leads_elsewhere_stays_in_the_folder(client: Client, stub: Stub, tmp_path: Path) -> None:
    stub.model_file = "../../elsewhere"

    assert client.download("mdl_1", tmp_path) == tmp_path / "elsewhere.zip"


@pytest.mark.parametrize(("ref", "code"), [("gone", "model_not_found"), ("cut", "unreachable")])
def test_of_a_download_that_fails_nothing_stays(client: Client, tmp_path: Path, ref: str, code: str) -> None:
    with pytest.raises(ApiError) as refused:
        client.download(ref, tmp_path)

    assert refused.value.code == code
    assert list(tmp_path.iterdir()) == []


def test_aliases_are_set_and_removed(client: Client, stub: Stub) -> None:
    assert client.promote("a/b@latest")["aliases"] == ["production"]
    assert stub.aliases == {"production": "a/b@latest"}

    client.remove_alias("a/b@latest", "production")
    assert stub.aliases == {}
