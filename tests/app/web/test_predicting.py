"""Trying a model on a page."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from PIL import Image
from pydantic import SecretStr

from app.settings import AppSettings
from tests.app.published import IMAGES, LABELS, TEXTS, publish
from tests.app.service import ADMIN_KEY, running
from tests.app.web.conftest import signed_in
from tests.app.web.pages import hrefs, notice, words


@dataclass
class Tried:
    """A signed-in browser, and two models."""

    browser: httpx.Client
    images: str
    texts: str


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory, broker_url: str) -> Iterator[Tried]:
    folder: Path = tmp_path_factory.mktemp("tried")
    settings = AppSettings(data_dir=folder, redis_url=broker_url, api_key=SecretStr(ADMIN_KEY))
    with running(settings) as service, signed_in(service) as browser:
        yield Tried(browser, publish(service, kind=IMAGES), publish(service, kind=TEXTS, name="films"))


def _picture(mode: str = "RGB", side: int = 300) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (side, side)).save(buffer, "PNG")
    return buffer.getvalue()


def _post_picture(tried: Tried, content: bytes) -> httpx.Response:
    return tried.browser.post("/ui/predict", data={"model": tried.images}, files={"file": ("a.png", content)})


def _post_text(tried: Tried, text: str) -> httpx.Response:
    form = {"model": (None, tried.texts), "text": (None, text)}
    return tried.browser.post("/ui/predict", files=form, headers={"HX-Request": "true"})


def test_a_picture_gets_the_scores_that_the_api_gives(tried: Tried) -> None:
    content = _picture()
    said = words(_post_picture(tried, content))
    api = tried.browser.post("/predict", data={"model": tried.images}, files={"file": ("a.png", content)})
    (prediction,) = api.json()["predictions"]
    listed = " ".join(f"{score['label']} {score['score']:.1%}" for score in prediction["scores"])
    assert said.startswith(f"{prediction['label']} {prediction['score']:.1%} ")
    assert listed in said
    assert "300 × 300 pixels." in said


def test_what_was_done_to_a_picture_is_told(tried: Tried) -> None:
    said = words(_post_picture(tried, _picture("RGBA", side=10)))
    assert "Transparent parts were laid on white." in said
    assert "was enlarged" in said


def test_a_file_that_is_no_picture_is_told_in_words(tried: Tried) -> None:
    answer = _post_picture(tried, b"no picture")
    assert 'role="alert"' in answer.text
    assert "Traceback" not in words(answer)


def test_a_text_gets_scores_and_says_when_it_was_cut(tried: Tried) -> None:
    assert all(label in words(_post_text(tried, "a joy")) for label in LABELS)
    assert "longer than the model reads" in words(_post_text(tried, "word " * 2000))


def test_nothing_to_predict_and_unknown_models_are_refused_with_a_notice(tried: Tried) -> None:
    nothing = _post_text(tried, "")
    assert (nothing.status_code, notice(nothing)["code"]) == (422, "missing_file")
    form = {"model": (None, "mdl_none"), "text": (None, "x")}
    unknown = tried.browser.post("/ui/predict", files=form, headers={"HX-Request": "true"})
    assert (unknown.status_code, notice(unknown)["code"]) == (404, "model_not_found")


def test_the_form_fits_the_task_of_the_chosen_model(tried: Tried) -> None:
    newest = tried.browser.get("/ui/predict")
    assert 'id="predict-text"' in newest.text, "the newest model is one of texts"
    chosen = tried.browser.get("/ui/predict", params={"model": tried.images})
    assert 'id="predict-file"' in chosen.text
    assert f'<option value="{tried.images}" selected>' in chosen.text
    assert f"/ui/models/{tried.images}" in hrefs(chosen)


def test_without_models_the_page_says_what_to_do_next(browser: httpx.Client) -> None:
    assert "/ui/jobs/new" in hrefs(browser.get("/ui/predict"))
