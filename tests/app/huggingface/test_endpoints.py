"""Hugging Face's form over HTTP; what its own client gets is in tests/e2e/test_protocols.py."""

import base64
from typing import Any

import httpx
import pytest

from tests.app.published import LABELS
from tests.app.served import Served
from tests.app.service import assert_problem
from tests.e2e.sets import picture

FILES = [picture("blue", 1), picture("red", 2)]
IMAGES = [base64.b64encode(one).decode() for one in FILES]
WORDS = ["a film that stays", "two hours that I want back"]


def ask(client: httpx.Client, model: str, inputs: Any, **parameters: Any) -> Any:
    answer = client.post(f"/hf/models/{model}", json={"inputs": inputs, "parameters": parameters})
    assert answer.status_code == 200, answer.text
    return answer.json()


def predicted(served: Served, model: str, inputs: list[str]) -> list[list[dict[str, Any]]]:
    answer = served.client.post("/predict", json={"model": model, "inputs": inputs})
    return [one["scores"] for one in answer.json()["predictions"]]


def assert_close(found: list[list[dict[str, Any]]], expected: list[list[dict[str, Any]]]) -> None:
    assert [[one["label"] for one in scores] for scores in found] == [[one["label"] for one in s] for s in expected]
    for scores, others in zip(found, expected, strict=True):
        assert [one["score"] for one in scores] == pytest.approx([one["score"] for one in others], abs=1e-6)


def test_texts_get_a_list_of_scores_each(served: Served) -> None:
    assert_close(ask(served.client, served.texts, WORDS), predicted(served, served.texts, WORDS))
    assert_close(ask(served.client, served.texts, WORDS[0]), predicted(served, served.texts, WORDS[:1]))


def test_an_image_gets_a_flat_list_and_several_a_list_each(served: Served) -> None:
    expected = predicted(served, served.images, IMAGES)
    assert_close([ask(served.client, served.images, IMAGES[0])], expected[:1])
    assert_close(ask(served.client, served.images, IMAGES), expected)


@pytest.mark.parametrize("kind", ["image/jpeg", "application/octet-stream", None])
def test_a_raw_image_gets_a_flat_list(served: Served, kind: str | None) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    answer = served.client.post(f"/hf/models/{served.images}", content=FILES[0], headers=headers)
    assert_close([answer.json()], predicted(served, served.images, IMAGES[:1]))


def test_so_many_scores_come_as_are_asked_for(served: Served) -> None:
    assert [len(scores) for scores in ask(served.client, served.texts, WORDS, top_k=2)] == [2, 2]
    assert len(ask(served.client, served.images, IMAGES[0], top_k=1)) == 1


def test_the_function_none_gives_the_logits_best_first(served: Served) -> None:
    (found,) = ask(served.client, served.texts, WORDS[0], function_to_apply="none")
    body = {"model": served.texts, "inputs": WORDS[0], "parameters": {"logits": True}}
    logits = served.client.post("/predict", json=body).json()["predictions"][0]["logits"]
    assert {one["label"]: one["score"] for one in found} == pytest.approx(dict(zip(LABELS, logits, strict=True)))
    assert [one["score"] for one in found] == sorted(logits, reverse=True)


def test_what_older_clients_say_about_waiting_is_ignored(served: Served) -> None:
    body = {"inputs": WORDS[0], "options": {"wait_for_model": True}, "parameters": None}
    assert served.client.post(f"/hf/models/{served.texts}", json=body).status_code == 200


def test_a_bad_input_fails_the_request_with_its_place_and_code(served: Served) -> None:
    answer = served.client.post(f"/hf/models/{served.texts}", json={"inputs": ["good", " "]})
    problem = assert_problem(answer, 422, "empty_text")
    assert problem["param"] == "inputs[1]"
    assert problem["error"] == problem["detail"]


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": []},
        {"inputs": [1]},
        {},
        {"inputs": "x", "parameters": {"function_to_apply": "sigmoid"}},
        {"inputs": "x", "parameters": {"top_k": 0}},
        {"inputs": "x", "more": 1},
    ],
)
def test_what_is_no_such_request_is_refused(served: Served, body: dict[str, Any]) -> None:
    assert_problem(served.client.post(f"/hf/models/{served.texts}", json=body), 422, "validation_error")


def test_models_of_others_are_not_there(served: Served) -> None:
    with served.service.user("eve") as eve:
        assert_problem(eve.post(f"/hf/models/{served.texts}", json={"inputs": "x"}), 404, "model_not_found")
    with served.service.client(key=None) as nobody:
        assert_problem(nobody.post(f"/hf/models/{served.texts}", json={"inputs": "x"}), 401, "missing_key")


def test_a_plain_name_means_its_newest_version(served: Served) -> None:
    assert ask(served.client, "insects@latest", WORDS[0]) == ask(served.client, "insects", WORDS[0])
