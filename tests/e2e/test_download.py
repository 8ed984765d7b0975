"""A model that was taken away gives what the service gives, run by its card's lines without anything of ours."""

import ast
import base64
import io
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from tests.e2e import sets
from tests.e2e.conftest import MINILM, SENTENCES, add_weights, zipped
from tests.e2e.service import Service
from tests.models_store.tiny_models import image_model

ROOMS: Final = ("app", "finetuned", "models_store", "worker")
_BLOCK: Final = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Runs the card's program in a process that was isolated by -I, and fails if anything of this service came in.
_RUNNER: Final = f"""
import runpy, sys
sys.argv = sys.argv[1:]
left = runpy.run_path(sys.argv[0])
ours = sorted(name for name in sys.modules if name.partition(".")[0] in {ROOMS!r})
assert not ours, ours
"""


def photo_files(folder: Path) -> list[Path]:
    """A JPEG of odd size, a PNG with transparency, a photo to be turned by its EXIF, pictures like the trained ones."""
    sample: Any = load_sample_images()
    photo = Image.fromarray(sample.images[1])
    transparent = photo.resize((97, 61)).convert("RGBA")
    transparent.putalpha(photo.resize((97, 61)).convert("L"))
    turned = Image.Exif()
    turned[0x0112] = 6
    photo.crop((0, 0, 333, 217)).save(folder / "odd size.jpg", quality=90)
    transparent.save(folder / "투명.png")
    photo.resize((320, 214)).save(folder / "turned.jpg", exif=turned)
    for colour in ("red", "green"):
        (folder / f"{colour}.jpg").write_bytes(sets.picture(colour, 900))
    return sorted(folder.iterdir())


def download(service: Service, ref: str, into: Path, form: str = "zip") -> Path:
    """The unpacked zip, or the checkpoint as ``model.ckpt``; streamed."""
    path = into / f"model.{form}"
    with service.client.stream("GET", f"/models/{quote(ref, safe='')}/download", params={"format": form}) as answer:
        assert answer.status_code == 200
        with path.open("wb") as file:
            for chunk in answer.iter_bytes():
                file.write(chunk)
    if form == "zip":
        with zipfile.ZipFile(path) as archive:
            archive.extractall(into)
    return into


def run_card(folder: Path, arguments: Sequence[str], program: int = 0) -> list[dict[str, float]]:
    """Run a program of ``README.md`` as a stranger would; gives what it prints, a line an item."""
    (folder / "run.py").write_text(_BLOCK.findall((folder / "README.md").read_text("utf-8"))[program], "utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "no-cache"), "TORCH_HOME": str(folder / "no-cache")}
    command = [sys.executable, "-I", "-c", _RUNNER, "run.py", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr
    return [ast.literal_eval(line) for line in done.stdout.splitlines() if line.startswith("{")]


def served(service: Service, model: str, inputs: Sequence[str]) -> list[dict[str, float]]:
    answer = service.client.post("/predict", json={"model": model, "inputs": list(inputs)})
    assert answer.status_code == 200, answer.text
    return [{one["label"]: one["score"] for one in entry["scores"]} for entry in answer.json()["predictions"]]


def assert_close(found: Sequence[dict[str, float]], expected: Sequence[dict[str, float]]) -> None:
    assert len(found) == len(expected) > 0
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, abs=1e-4)


def test_ten_lines_of_plain_timm_give_the_served_probabilities_of_photos(
    service: Service, picture_model: str, tmp_path: Path
) -> None:
    (tmp_path / "items").mkdir()
    files = photo_files(tmp_path / "items")
    found = run_card(download(service, picture_model, tmp_path), [str(file) for file in files])
    inputs = [base64.b64encode(file.read_bytes()).decode() for file in files]
    assert_close(found, served(service, picture_model, inputs))


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["torchvision/squeezenet1_1", "hf/tiny/vit"])
def test_ten_lines_of_plain_torchvision_or_transformers_give_the_served_probabilities_of_photos(
    service: Service, pictures: str, backbone: str, tmp_path: Path
) -> None:
    if backbone.startswith("hf/"):
        add_weights(service, backbone, "DEFAULT", zipped(image_model(tmp_path / "vit", "vit"), tmp_path))
    body = {"strategy": "freeze", "weights": None, "training": {"max_epochs": 2, "head_lr": 0.05}}
    job = service.finished(service.post_job(pictures, backbone, **body))
    assert job["status"] == "succeeded", job["error"]
    (tmp_path / "items").mkdir()
    files = photo_files(tmp_path / "items")
    found = run_card(download(service, job["model"], tmp_path), [str(file) for file in files])
    inputs = [base64.b64encode(file.read_bytes()).decode() for file in files]
    assert_close(found, served(service, job["model"], inputs))


def test_ten_lines_of_plain_transformers_give_the_served_probabilities_of_korean_and_other_texts(
    service: Service, tmp_path: Path
) -> None:
    praise = ["정말 재미있는 영화", "감동적이고 아름답다", "배우들의 연기가 훌륭하다"]
    blame = ["시간이 아까운 영화", "지루하고 길다", "다시는 보고 싶지 않다"]
    named = (("긍정 😀", praise), ("부정|별로", blame))
    rows = [f'"{text} {turn}",{label}' for label, texts in named for turn in range(8) for text in texts]
    dataset = service.upload("영화 평.csv", "\n".join(["text,label", *rows, ""]).encode())
    name = "영화 평/감정@2026"
    job = service.finished(service.post_job(dataset["id"], MINILM, strategy="freeze", training=SENTENCES, name=name))
    assert job["status"] == "succeeded", job["error"]
    ref = f"{name}@production"
    assert service.client.put(f"/models/{job['model']}/aliases/production").status_code == 200
    head = service.client.head(f"/models/{quote(ref, safe='')}/download")
    assert unquote(head.headers["content-disposition"]).endswith("''영화 평_감정@2026-v1.zip")
    folder = download(service, ref, tmp_path)
    card = (folder / "README.md").read_text("utf-8")
    assert "# 영화 평/감정@2026, version 1" in card
    assert "| 긍정 😀 |" in card
    texts = [*praise, *blame, sets.sentence("praise", 1), "wonderful " * 2000]
    assert_close(run_card(folder, texts), served(service, ref, texts))


def test_the_card_shows_the_report_that_the_service_gives(
    service: Service, sentence_model: str, tmp_path: Path
) -> None:
    card = (download(service, sentence_model, tmp_path) / "README.md").read_text("utf-8")
    model = service.client.get(f"/models/{sentence_model}").json()
    report = service.client.get(f"/models/{sentence_model}/report").json()
    for entry in report["classes"]:
        assert f"| {entry['label']} | {entry['precision']:.4g} | {entry['recall']:.4g} |" in card
    assert model["freeze_proof"]["backbone_sha256"] in card
    assert model["dataset_fingerprint"] in card


@pytest.mark.slow
def test_a_plain_module_of_lightning_loads_the_checkpoint(service: Service, picture_model: str, tmp_path: Path) -> None:
    download(service, picture_model, tmp_path, "ckpt")
    run_card(download(service, picture_model, tmp_path), [], program=1)


@pytest.mark.slow
def test_a_checkpoint_that_was_taken_away_is_the_start_of_another_job(
    service: Service, picture_model: str, pictures: str, tmp_path: Path
) -> None:
    content = (download(service, picture_model, tmp_path, "ckpt") / "model.ckpt").read_bytes()
    fields = {"name": "mine", "architecture": "timm/tf_efficientnet_lite0"}
    files = {"file": ("model.ckpt", io.BytesIO(content))}
    answer = service.client.post("/checkpoints", data=fields, files=files, timeout=120)
    assert answer.status_code == 201, answer.text
    body = {"submodule": "backbone", "strategy": "freeze", "training": {"max_epochs": 1}}
    job = service.finished(service.post_job(pictures, f"checkpoint/{answer.json()['id']}", **body))
    assert job["status"] == "succeeded", job["error"]
    hashes = [
        service.client.get(f"/models/{model}").json()["freeze_proof"]["backbone_sha256"]
        for model in (picture_model, job["model"])
    ]
    assert hashes[0] == hashes[1]


def test_a_promoted_version_serves_from_the_next_request_on(
    service: Service, sentence_model: str, sentences: str
) -> None:
    body = {"strategy": "freeze", "training": {"max_epochs": 1}}
    name = service.client.get(f"/models/{sentence_model}").json()["name"]
    job = service.finished(service.post_job(sentences, MINILM, name=name, **body))
    for model in (sentence_model, job["model"], sentence_model):
        service.client.put(f"/models/{model}/aliases/live")
        answer = service.client.post("/predict", json={"model": f"{name}@live", "inputs": "a film"}).json()
        assert answer["model"] == model
