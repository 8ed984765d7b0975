import base64
import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import torch

from models_store import bundle, registry
from tests.app.predictions.conftest import Served
from tests.app.published import LABELS, publish
from tests.app.service import assert_problem
from tests.e2e.sets import picture

BLUE, RED = picture("blue", 1), picture("red", 2)


def _b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _post(client: httpx.Client, model: str, inputs: Any, **parameters: Any) -> httpx.Response:
    return client.post("/predict", json={"model": model, "inputs": inputs, "parameters": parameters})


def _predictions(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["predictions"]
    return found


def test_a_text_is_classified(served: Served) -> None:
    answer = _post(served.client, served.texts, "a film that stays")
    prediction = _predictions(answer)[0]
    assert answer.json()["model"] == served.texts
    assert prediction["scores"][0] == {"label": prediction["label"], "score": prediction["score"]}
    assert sorted(score["label"] for score in prediction["scores"]) == LABELS
    scores = [score["score"] for score in prediction["scores"]]
    assert scores == sorted(scores, reverse=True)
    assert math.isclose(sum(scores), 1, abs_tol=1e-6)
    assert prediction["diagnostics"]["truncated"] is False
    assert "logits" not in prediction


def test_long_texts_are_cut_and_say_so(served: Served) -> None:
    prediction = _predictions(_post(served.client, served.texts, "word " * 5000))[0]
    assert prediction["diagnostics"]["truncated"] is True


def test_top_k_and_logits_are_as_asked(served: Served) -> None:
    prediction = _predictions(_post(served.client, served.texts, "x", top_k=1, logits=True))[0]
    assert (len(prediction["scores"]), len(prediction["logits"])) == (1, 3)


def test_all_three_forms_of_a_request_give_the_same(served: Served) -> None:
    model = served.images
    as_json = _post(served.client, model, [_b64(BLUE)], logits=True)
    form = {"model": model, "logits": "true"}
    as_form = served.client.post("/predict", data=form, files={"file": ("a.jpg", BLUE)})
    query = {"model": model, "logits": "true"}
    raw = served.client.post("/predict", content=BLUE, params=query, headers={"Content-Type": "image/jpeg"})
    assert _predictions(as_json) == _predictions(as_form) == _predictions(raw)


def test_the_logits_are_those_of_the_stored_model(served: Served) -> None:
    store_dir = served.service.settings.store_dir
    stored = bundle.load(registry.directory(store_dir, served.images), store_dir)
    batch = stored.preprocessing.collate(
        [p for p in stored.preprocessing.prepare([BLUE]) if not isinstance(p, Exception)]
    )
    with torch.inference_mode():
        expected = stored.network(batch)[0].tolist()
    logits = _predictions(_post(served.client, served.images, _b64(BLUE), logits=True))[0]["logits"]
    assert max(abs(a - b) for a, b in zip(logits, expected, strict=True)) < 1e-4


def test_identical_requests_give_identical_scores(served: Served) -> None:
    first, second = (_post(served.client, served.images, _b64(RED), logits=True).content for _ in range(2))
    assert first == second


@pytest.mark.parametrize("form", ["data:image/jpeg;base64,{}", "data:image/jpeg;charset=x;base64,{}", "  {}\n"])
def test_data_urls_and_white_space_are_tolerated(served: Served, form: str) -> None:
    plain = _post(served.client, served.images, _b64(BLUE))
    assert _post(served.client, served.images, form.format(_b64(BLUE))).json() == plain.json()


def test_a_bad_image_fails_alone_and_order_is_kept(served: Served) -> None:
    inputs = [_b64(BLUE), "no base64!", _b64(b"GIF89a broken"), _b64(RED)]
    found = _predictions(_post(served.client, served.images, inputs, logits=True))
    assert [prediction.get("error", {}).get("code") for prediction in found] == [
        None,
        "invalid_base64",
        "unreadable_image",
        None,
    ]
    alone = _predictions(_post(served.client, served.images, [_b64(RED)], logits=True))[0]
    assert all(abs(a - b) < 1e-4 for a, b in zip(found[3]["logits"], alone["logits"], strict=True))


def test_a_bad_text_fails_alone(served: Served) -> None:
    body = b'{"model": "%s", "inputs": ["good", "\\ud800"]}' % served.texts.encode()
    answer = served.client.post("/predict", content=body, headers={"Content-Type": "application/json"})
    good, bad = _predictions(answer)
    assert good["label"] in LABELS
    assert bad["error"]["code"] == "invalid_text"


def test_a_single_bad_input_is_still_200(served: Served) -> None:
    assert "error" in _predictions(_post(served.client, served.images, "!"))[0]


def test_one_result_for_each_of_many(served: Served) -> None:
    texts = [f"sentence {number}" for number in range(70)]
    assert len(_predictions(_post(served.client, served.texts, texts))) == 70


@pytest.mark.parametrize(
    ("inputs", "parameters"),
    [
        ([], {}),
        (5, {}),
        ({"a": 1}, {}),
        ([["x"]], {}),
        (["x", None], {}),
        ("x", {"top_k": 0}),
        ("x", {"k": 1}),
        (None, {}),
    ],
)
def test_what_is_no_prediction_request_is_refused(served: Served, inputs: Any, parameters: dict[str, Any]) -> None:
    assert_problem(_post(served.client, served.texts, inputs, **parameters), 422, "validation_error")


def test_unknown_fields_are_refused(served: Served) -> None:
    answer = served.client.post("/predict", json={"model": served.texts, "inputs": "x", "owner": 1})
    assert_problem(answer, 422, "validation_error")
    form = served.client.post("/predict", data={"model": served.images, "x": "1"}, files={"file": BLUE})
    assert_problem(form, 422, "validation_error")
    raw = served.client.post("/predict?model=m&x=1", content=BLUE, headers={"Content-Type": "image/png"})
    assert_problem(raw, 422, "validation_error")


def test_too_many_inputs_are_refused(served: Served) -> None:
    assert_problem(_post(served.client, served.texts, ["x"] * 1025), 413, "too_many_inputs")


def test_too_many_files_are_refused(served: Served) -> None:
    files = [("file", ("a.jpg", b"x"))] * 1025
    answer = served.client.post("/predict", data={"model": served.images}, files=files)
    assert_problem(answer, 413, "too_many_parts")


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("text/plain", 415, "unsupported_media_type"),
        ("application/json", 400, "malformed_body"),
        ("multipart/form-data", 422, "malformed_multipart"),
    ],
)
def test_other_bodies_are_refused(served: Served, kind: str, status: int, code: str) -> None:
    assert_problem(served.client.post("/predict", content=b"x", headers={"Content-Type": kind}), status, code)


def test_an_unknown_model_is_told_so(served: Served) -> None:
    assert_problem(_post(served.client, "mdl_no", "x"), 404, "model_not_found")


def test_another_owners_model_does_not_exist_even_when_it_is_loaded(served: Served) -> None:
    _post(served.client, served.texts, "x")
    with served.service.user("bob") as bob:
        assert_problem(_post(bob, served.texts, "x"), 404, "model_not_found")
        assert_problem(bob.get(f"/models/{served.texts}"), 404, "model_not_found")
        assert bob.get("/models").json()["data"] == []


def test_a_deleted_model_does_not_predict_any_more(served: Served) -> None:
    model = publish(served.service)
    assert _post(served.client, model, _b64(BLUE)).status_code == 200
    assert served.client.delete(f"/models/{model}").status_code == 204
    assert_problem(_post(served.client, model, _b64(BLUE)), 404, "model_not_found")
    assert _post(served.client, served.images, _b64(BLUE)).status_code == 200, "its trunk is another model's too"


def test_predictions_while_a_model_is_deleted_are_answers_or_404(served: Served) -> None:
    model = publish(served.service)

    def predict(_number: int) -> int:
        with served.service.client() as own:
            return _post(own, model, _b64(BLUE)).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = [pool.submit(predict, number) for number in range(24)]
        served.client.delete(f"/models/{model}")
        assert {status.result() for status in statuses} <= {200, 404}
