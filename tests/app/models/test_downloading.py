import io
import shutil
import zipfile
from pathlib import Path
from urllib.parse import unquote

import httpx
import pytest
import torch
from safetensors.torch import load

from models_store import registry
from tests.app.published import LABELS, publish
from tests.app.service import Running, assert_problem


def unzipped(answer: httpx.Response) -> zipfile.ZipFile:
    assert answer.status_code == 200, answer.text
    return zipfile.ZipFile(io.BytesIO(answer.content))


def filename(answer: httpx.Response) -> str:
    """By RFC 5987, as browsers read it."""
    disposition = answer.headers["content-disposition"]
    assert disposition.isascii()
    return unquote(disposition.rpartition("filename*=UTF-8''")[2])


def test_a_zip_holds_the_model_and_its_card(service: Running, client: httpx.Client) -> None:
    model_id = publish(service)
    answer = client.get(f"/models/{model_id}/download")
    assert answer.headers["content-type"] == "application/zip"
    with unzipped(answer) as archive:
        assert archive.namelist() == ["README.md", "config.json", "preprocessing.json", "model.safetensors"]
        assert len(load(archive.read("model.safetensors"))["head.bias"]) == len(LABELS)
        card = archive.read("README.md").decode()
    assert "# insects, version 1" in card
    assert "Data set films" in card


def test_a_checkpoint_holds_tensors_and_plain_values(service: Running, client: httpx.Client) -> None:
    answer = client.get(f"/models/{publish(service)}/download", params={"format": "ckpt"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/octet-stream")
    assert int(answer.headers["content-length"]) == len(answer.content)
    content = torch.load(io.BytesIO(answer.content), weights_only=True)
    assert {"head.weight", "head.bias"} < content["state_dict"].keys()


def test_nothing_of_a_checkpoint_stays_on_disk(service: Running, client: httpx.Client) -> None:
    client.get(f"/models/{publish(service)}/download", params={"format": "ckpt"})
    assert [path for path in service.settings.uploads_dir.iterdir() if path.stat().st_size > 10_000] == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [("개미 또는 벌", "개미 또는 벌-v1.zip"), ('a/b\\c"d;é', "a_b_c_d;é-v1.zip"), ("../..", ".._..-v1.zip")],
)
def test_the_file_is_named_after_the_model(service: Running, client: httpx.Client, name: str, expected: str) -> None:
    model_id = publish(service, name=name)
    answer = client.head(f"/models/{model_id}/download")
    assert filename(answer) == expected
    assert f'filename="{model_id}.zip"' in answer.headers["content-disposition"]


def test_head_gives_the_headers_alone(service: Running, client: httpx.Client) -> None:
    model_id = publish(service)
    for form, kind in (("zip", "application/zip"), ("ckpt", "application/octet-stream")):
        answer = client.head(f"/models/{model_id}/download", params={"format": form})
        assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, b"", kind)
        assert filename(answer) == f"insects-v1.{form}"


def test_a_model_is_downloaded_by_its_alias(service: Running, client: httpx.Client) -> None:
    publish(service)
    with unzipped(client.get("/models/insects@latest/download")) as archive:
        assert "README.md" in archive.namelist()


def test_another_format_is_refused(service: Running, client: httpx.Client) -> None:
    answer = client.get(f"/models/{publish(service)}/download", params={"format": "onnx"})
    assert assert_problem(answer, 422, "validation_error")["errors"][0]["loc"] == ["query", "format"]


def test_a_model_that_is_not_there(client: httpx.Client) -> None:
    for path in ("/models/mdl_1/download", "/models/insects@production/download"):
        assert_problem(client.get(path), 404, "model_not_found")


@pytest.mark.parametrize("form", ["zip", "ckpt"])
def test_a_trunk_that_is_gone_is_told_before_the_download_begins(
    service: Running, client: httpx.Client, form: str
) -> None:
    model_id = publish(service)
    shutil.rmtree(service.settings.store_dir / "trunks")
    answer = client.get(f"/models/{model_id}/download", params={"format": form})
    assert_problem(answer, 503, "trunk_missing")


def test_a_deletion_that_has_removed_the_row_but_not_all_files(service: Running, client: httpx.Client) -> None:
    model_id = publish(service)
    directory: Path = registry.directory(service.settings.store_dir, model_id)
    shutil.rmtree(directory)
    assert_problem(
        client.get(f"/models/{model_id}/download"), 500, "internal_error"
    )  # files lost, and it is still there
    client.delete(f"/models/{model_id}")
    assert_problem(client.get(f"/models/{model_id}/download"), 404, "model_not_found")
