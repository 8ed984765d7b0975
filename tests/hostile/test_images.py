"""Pictures through both doors, the import and every form of a prediction: odd ones that work, and evil ones."""

import base64
import contextlib
import io
import sys
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from PIL import Image

from tests.e2e import sets
from tests.e2e.service import Service, until
from tests.hostile import forms, pictures
from tests.hostile.belongings import BACKBONE, Belongings
from tests.hostile.conftest import memory
from tests.hostile.tenant import Tenant

_CODES = {"unreadable_image", "image_too_large", "not_an_image", "empty_file"}


def _photo(colour: str = "red", seed: int = 1) -> Image.Image:
    return pictures.flat(Image.open(io.BytesIO(sets.picture(colour, seed))))


def _evil() -> dict[str, bytes]:
    all_ = [pictures.huge(), pictures.laborious(), pictures.disguised(), pictures.truncated(_photo())]
    return {name: content for group in all_ for name, content in group.items()}


EVIL = _evil()
EQUAL = {
    "photo": pictures.equals(_photo()),
    "grey": pictures.equal_greys(_photo()),
    "jpeg": pictures.equal_jpegs(_photo()),
    "hole": dict(zip(("transparent", "white"), pictures.transparent(_photo()), strict=True)),
}


def _asked(form: str, client: httpx.Client, model: str, content: bytes, name: str) -> httpx.Response:
    if form == "json":
        inputs = base64.b64encode(content).decode()
        return client.post("/predict", json={"model": model, "inputs": inputs, "parameters": {"logits": True}})
    if form == "multipart":
        fields = {"model": model, "logits": "true"}
        return client.post("/predict", data=fields, files={"file": (name, content)})
    query = {"model": model, "logits": "true"}
    return client.post("/predict", params=query, content=content, headers={"Content-Type": "image/jpeg"})


def _prediction(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    (prediction,) = answer.json()["predictions"]
    return dict(prediction)


@pytest.mark.parametrize("group", EQUAL)
def test_files_of_equal_pixels_get_equal_answers(group: str, anns: Belongings, ann: Tenant) -> None:
    inputs = [base64.b64encode(content).decode() for content in EQUAL[group].values()]
    body = {"model": anns.model, "inputs": inputs, "parameters": {"logits": True}}
    predictions = ann.client.post("/predict", json=body).json()["predictions"]
    logits = {name: one.get("logits") for name, one in zip(EQUAL[group], predictions, strict=True)}
    first = next(iter(logits.values()))
    assert {name for name, found in logits.items() if found is None} == set()
    assert {name for name, found in logits.items() if found != pytest.approx(first, abs=1e-5)} == set()


@pytest.mark.parametrize("form", ["json", "multipart", "raw"])
@pytest.mark.parametrize("name", ["turned TIFF 6", "16-bit PNG", "palette GIF", "CMYK TIFF", "first frame of WEBP"])
def test_every_form_of_a_prediction_reads_odd_pictures_alike(
    form: str, name: str, anns: Belongings, ann: Tenant
) -> None:
    plain, odd = (
        _prediction(_asked(form, ann.client, anns.model, EQUAL["photo"][one], "a.jpg")) for one in ("PNG", name)
    )
    assert odd["logits"] == pytest.approx(plain["logits"], abs=1e-5)


def _labelled(colours: tuple[str, str]) -> Mapping[str, bytes]:
    """Two classes, each with its picture in every form; one splits's pictures are all of one seed."""
    made: dict[str, bytes] = {}
    for split, seed in (("train", 1), ("val", 2)):
        for colour in colours:
            photo = _photo(colour, seed)
            groups = [pictures.equals(photo), pictures.equal_greys(photo), pictures.equal_jpegs(photo)]
            files = [(name, content) for group in groups for name, content in group.items()]
            made |= {f"{split}/{colour}/{place}.jpg": content for place, (_, content) in enumerate(files)}
    return made


@pytest.mark.slow
def test_odd_pictures_are_trained_on_and_served_alike(ann: Tenant) -> None:
    """A model is published only if serving gives its validation items the logits that training gave them."""
    files = _labelled(("red", "blue"))
    dataset = ann.imported("odd.zip", forms.archive(files.items()))
    assert dataset["status"] == "ready", dataset["error"]
    assert not [one for one in dataset["problems"] if one["code"] in _CODES]
    assert sum(dataset["splits"].values()) == len(files)
    training = {"max_epochs": 1, "batch_size": 16}
    body = {"dataset": dataset["id"], "backbone": BACKBONE, "weights": None, "strategy": "freeze", "training": training}
    job = ann.ended(f"/jobs/{ann.client.post('/jobs', json=body).json()['id']}", "succeeded", "failed")
    assert job["status"] == "succeeded", job["error"]
    parity = ann.client.get(f"/models/{job['model']}").json()["parity"]
    assert parity["passed"]
    assert parity["max_abs_logit_diff"] < 1e-4


def test_evil_pictures_are_bad_items_and_good_ones_beside_them_are_imported(ann: Tenant, service: Service) -> None:
    good = {f"{colour}/{n}.jpg": sets.picture(colour, n) for colour in ("red", "blue") for n in range(3)}
    files = [*good.items(), *((f"red/{name}", content) for name, content in EVIL.items())]
    content = forms.archive(files, zipfile.ZIP_STORED)  # packed, it were an archive bomb before all else
    dataset = ann.imported("evil.zip", content)
    assert dataset["status"] == "ready", dataset["error"]
    told = {problem["item"].rpartition("/")[2]: problem["code"] for problem in dataset["problems"]}
    assert {name: told.get(name) for name in EVIL if told.get(name) not in _CODES} == {}
    assert sum(dataset["splits"].values()) == len(good)
    assert service.client.get("/readyz").status_code == 200


@pytest.mark.parametrize("form", ["json", "multipart", "raw"])
def test_an_evil_picture_fails_alone_and_soon_in_every_form(
    form: str, anns: Belongings, ann: Tenant, service: Service
) -> None:
    before, started = memory(service), time.monotonic()
    answers = {name: _asked(form, ann.client, anns.model, EVIL[name], name) for name in EVIL}
    codes = {name: _prediction(answer)["error"]["code"] for name, answer in answers.items()}
    assert {name for name, code in codes.items() if code not in _CODES} == set()
    assert {codes[name] for name in pictures.huge()} <= {"image_too_large", "unreadable_image"}
    assert codes["huge.png"] == "image_too_large"
    assert time.monotonic() - started < len(EVIL)
    assert memory(service) - before < 200 * 2**20


def test_a_bad_input_among_good_ones_fails_alone(anns: Belongings, ann: Tenant) -> None:
    contents = [EQUAL["photo"]["PNG"], EVIL["scans.jpg"], EQUAL["photo"]["BMP"], EVIL["fits.jpg"]]
    inputs = [base64.b64encode(content).decode() for content in contents]
    answer = ann.client.post("/predict", json={"model": anns.model, "inputs": inputs})
    assert ["error" in one for one in answer.json()["predictions"]] == [False, True, False, True]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has these limits")
def test_pictures_are_imported_by_a_process_without_network_and_programs_and_with_bounded_memory(
    ann: Tenant, service: Service
) -> None:
    upload = {"file": ("empty.zip", forms.empties(20_000))}  # which takes some seconds
    dataset = ann.client.post("/datasets", files=upload).json()["id"]

    def confined() -> list[int]:
        children = [one.pid for one in service.children("worker.child")]
        with contextlib.suppress(FileNotFoundError):  # it has just ended
            return [pid for pid in children if "Seccomp:\t2" in Path(f"/proc/{pid}/status").read_text()]
        return []

    (pid,) = until(confined, 30, "a confined process imports")
    limit, _ = psutil.Process(pid).rlimit(psutil.RLIMIT_AS)
    assert 0 < limit < 16 * 2**30
    assert psutil.Process(pid).nice() >= min(19, psutil.Process().nice() + 10)  # and predictions come first
    assert ann.ended(f"/datasets/{dataset}", "failed", "ready")["status"] == "failed"
