"""The protocol over HTTP; what a public client of it gets from the whole service is in tests/e2e/test_protocols.py."""

import base64
import json
import struct
from typing import Any

import httpx
import numpy
import pytest

from models_store import bundle, registry
from models_store.preprocessing.protocol import Prepared
from tests.app.published import LABELS, publish
from tests.app.served import Served
from tests.app.service import assert_problem
from tests.e2e.sets import picture

FILES = [picture("blue", 1), picture("red", 2)]
WORDS = ["a film that stays", "two hours that I want back", "dull"]
HEAD = "Inference-Header-Content-Length"


def infer(client: httpx.Client, model: str, body: dict[str, Any]) -> httpx.Response:
    return client.post(f"/v2/models/{model}/infer", json=body)


def texts(values: list[str], **more: Any) -> dict[str, Any]:
    return {"inputs": [{"name": "text", "shape": [len(values)], "datatype": "BYTES", "data": values}], **more}


def images(contents: list[bytes], **more: Any) -> dict[str, Any]:
    data = [base64.b64encode(content).decode() for content in contents]
    return {"inputs": [{"name": "image", "shape": [len(data)], "datatype": "BYTES", "data": data}], **more}


def pixels(array: "numpy.typing.NDArray[numpy.float32]", **more: Any) -> dict[str, Any]:
    data = array.ravel().tolist()
    return {"inputs": [{"name": "pixels", "shape": [*array.shape], "datatype": "FP32", "data": data}], **more}


def preprocessed(served: Served) -> "numpy.typing.NDArray[numpy.float32]":
    """What the model's own preprocessing makes of the files."""
    stored = bundle.read(registry.directory(served.service.settings.store_dir, served.images))
    items = [one for one in stored.preprocessing.prepare(FILES) if isinstance(one, Prepared)]
    array: numpy.typing.NDArray[numpy.float32] = stored.preprocessing.collate(items)["pixels"].numpy()
    return array


def outputs(answer: httpx.Response) -> dict[str, Any]:
    """Data by name, in the shapes that the answer says."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return {one["name"]: numpy.array(one["data"]).reshape(one["shape"]).tolist() for one in answer.json()["outputs"]}


def by_predict(served: Served, model: str, inputs: list[str]) -> dict[str, Any]:
    """The same by POST /predict."""
    body = {"model": model, "inputs": inputs, "parameters": {"logits": True}}
    found = served.client.post("/predict", json=body).json()["predictions"]
    scores = [{one["label"]: one["score"] for one in prediction["scores"]} for prediction in found]
    return {
        "label": [one["label"] for one in found],
        "score": [one["score"] for one in found],
        "probabilities": [[one[label] for label in LABELS] for one in scores],
        "logits": [one["logits"] for one in found],
    }


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found["label"] == expected["label"]
    for name in found.keys() - {"label"}:
        numpy.testing.assert_allclose(found[name], expected[name], atol=1e-6 if name != "logits" else 1e-4, rtol=0)


def assert_refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """A problem as everywhere, and also what the protocol calls an error."""
    problem = assert_problem(answer, status, code)
    assert problem["error"] == problem["detail"]
    assert int(answer.headers["content-length"]) == len(answer.content)
    return problem


def test_texts_get_what_predict_says(served: Served) -> None:
    answer = infer(served.client, served.texts, texts(WORDS))
    found = outputs(answer)
    assert list(found) == ["label", "score", "probabilities"]
    assert_same(found, by_predict(served, served.texts, WORDS))
    assert answer.json()["model_name"] == served.texts
    assert answer.json()["model_version"] == "2", "both models of the fixture have one name"
    assert answer.json()["parameters"] == {"model": served.texts}
    assert "id" not in answer.json()


def test_images_in_base64_get_what_predict_says(served: Served) -> None:
    found = outputs(infer(served.client, served.images, images(FILES)))
    assert_same(found, by_predict(served, served.images, [base64.b64encode(one).decode() for one in FILES]))


def test_pixels_that_are_preprocessed_already_get_the_same_as_their_files(served: Served) -> None:
    every = [{"name": name} for name in ("logits", "label", "score", "probabilities")]
    found = outputs(infer(served.client, served.images, pixels(preprocessed(served), outputs=every)))
    assert_same(found, by_predict(served, served.images, [base64.b64encode(one).decode() for one in FILES]))
    assert len(found["logits"]) == 2


def test_the_outputs_asked_for_are_given_in_their_order_and_the_id_comes_back(served: Served) -> None:
    body = texts(WORDS, id="mine-1", outputs=[{"name": "logits"}, {"name": "label"}])
    answer = infer(served.client, served.texts, body)
    assert list(outputs(answer)) == ["logits", "label"]
    assert answer.json()["id"] == "mine-1"


def test_tensors_may_stand_behind_the_json_both_ways(served: Served) -> None:
    contents = [word.encode() for word in WORDS]
    tail = b"".join(struct.pack("<I", len(one)) + one for one in contents)
    tensor = {"name": "text", "shape": [3], "datatype": "BYTES", "parameters": {"binary_data_size": len(tail)}}
    wanted = [{"name": "label", "parameters": {"binary_data": False}}, {"name": "score"}, {"name": "probabilities"}]
    body = {"inputs": [tensor], "outputs": wanted, "parameters": {"binary_data_output": True, "priority": 3}}
    head = json.dumps(body).encode()
    url = f"/v2/models/{served.texts}/infer"
    answer = served.client.post(url, content=head + tail, headers={HEAD: str(len(head))})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/octet-stream"
    end = int(answer.headers[HEAD])
    label, score, probabilities = json.loads(answer.content[:end])["outputs"]
    assert (score["parameters"], probabilities["parameters"]) == ({"binary_data_size": 12}, {"binary_data_size": 36})
    assert "data" not in score
    assert len(answer.content) == end + 12 + 36
    found = {
        "label": label["data"],
        "score": struct.unpack("<3f", answer.content[end : end + 12]),
        "probabilities": numpy.frombuffer(answer.content[end + 12 :], "<f4").reshape(3, 3),
    }
    assert_same(found, by_predict(served, served.texts, WORDS))


def test_a_bad_item_fails_the_request_with_its_place_and_code(served: Served) -> None:
    refused = assert_refused(infer(served.client, served.images, images([*FILES, b"GIF89a"])), 422, "unreadable_image")
    assert refused["detail"].startswith("image[2]: ")
    assert refused["param"] == "image[2]"
    assert_refused(infer(served.client, served.texts, texts(["good", " "])), 422, "empty_text")


@pytest.mark.parametrize("value", [numpy.nan, numpy.inf])
def test_pixels_that_are_not_finite_are_refused(served: Served, value: float) -> None:
    array = preprocessed(served)
    array[1, 0, 0, 0] = value
    assert (
        assert_refused(
            served.client.post(
                f"/v2/models/{served.images}/infer",
                content=json.dumps(pixels(array)).encode(),
                headers={"Content-Type": "application/json"},
            ),
            422,
            "invalid_pixels",
        )["param"]
        == "pixels[1]"
    )


def test_pixels_of_another_size_than_the_preprocessing_makes_are_refused(served: Served) -> None:
    small = numpy.zeros((1, 3, 8, 8), numpy.float32)
    assert (
        "[3, 224, 224]"
        in assert_refused(infer(served.client, served.images, pixels(small)), 422, "invalid_pixels")["detail"]
    )


@pytest.mark.parametrize("body", [images(FILES), pixels(numpy.zeros((1, 3, 224, 224), numpy.float32))])
def test_images_for_a_model_of_texts_are_refused(served: Served, body: dict[str, Any]) -> None:
    assert_refused(infer(served.client, served.texts, body), 422, "task_mismatch")


def test_texts_for_a_model_of_images_are_refused(served: Served) -> None:
    assert_refused(infer(served.client, served.images, texts(WORDS)), 422, "task_mismatch")


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"shape": [2]}, "invalid_tensor"),
        ({"shape": [3, 1]}, "invalid_tensor"),
        ({"datatype": "FP32"}, "invalid_tensor"),
        ({"data": [1, 2, 3]}, "invalid_tensor"),
        ({"data": None}, "invalid_tensor"),
        ({"parameters": {"binary_data_size": 4}}, "invalid_tensor"),
        ({"parameters": {"binary_data_size": 4.0}}, "invalid_tensor"),  # an integer, by JSON Schema
        ({"parameters": {"shared_memory_region": "x"}, "data": None}, "invalid_tensor"),
        ({"shape": [0], "data": []}, "validation_error"),
        ({"shape": []}, "validation_error"),
        ({"shape": [-1]}, "validation_error"),
        ({"datatype": "INT8"}, "validation_error"),
        ({"name": "input0"}, "validation_error"),
        ({"unknown": 1}, "validation_error"),
        ({"parameters": {"binary_data_size": "4"}}, "validation_error"),
        ({"parameters": {"binary_data_size": 4.5}}, "validation_error"),
        ({"parameters": {"binary_data_size": -4.0}}, "validation_error"),
    ],
)
def test_a_tensor_that_is_not_what_it_says_is_refused(served: Served, changed: dict[str, Any], code: str) -> None:
    body = texts(WORDS)
    body["inputs"][0] |= changed
    assert_refused(infer(served.client, served.texts, body), 422, code)


@pytest.mark.parametrize(
    "more",
    [
        {"inputs": []},
        {"inputs": texts(WORDS)["inputs"] * 2},
        {"outputs": [{"name": "output0"}]},
        {"outputs": [{"name": "label", "parameters": {"classification": 2}}]},
        {"parameters": {"binary_data_output": 1}},
        {"owner": "x"},
        {"id": 5},
    ],
)
def test_what_is_no_inference_request_is_refused(served: Served, more: dict[str, Any]) -> None:
    assert_refused(infer(served.client, served.texts, texts(WORDS, **more) | more), 422, "validation_error")


@pytest.mark.parametrize("content", [b"x", b""])
def test_a_body_that_is_no_json_is_refused(served: Served, content: bytes) -> None:
    answer = served.client.post(f"/v2/models/{served.texts}/infer", content=content)
    assert_refused(answer, 400, "malformed_body")


@pytest.mark.parametrize("head", [None, "0", "2"])
def test_bytes_that_do_not_begin_with_json_are_refused_for_what_they_hold(served: Served, head: str | None) -> None:
    headers = {"Content-Type": "application/octet-stream"} | ({HEAD: head} if head else {})
    answer = served.client.post(f"/v2/models/{served.texts}/infer", content=b"\x00\x01", headers=headers)
    assert_refused(answer, 422, "invalid_tensor")
    assert HEAD in answer.json()["detail"]


def test_a_header_that_cuts_the_json_short_is_refused(served: Served) -> None:
    headers = {"Content-Type": "application/json", HEAD: "1"}
    answer = served.client.post(f"/v2/models/{served.texts}/infer", content=b"{}", headers=headers)
    assert_refused(answer, 422, "invalid_tensor")


@pytest.mark.parametrize("head", ["3", "x", "-1"])
def test_a_body_that_is_shorter_than_it_says_is_refused(served: Served, head: str) -> None:
    answer = served.client.post(f"/v2/models/{served.texts}/infer", content=b"{}", headers={HEAD: head})
    assert_refused(answer, 422, "invalid_tensor")


def test_too_many_items_are_refused(served: Served) -> None:
    assert_refused(infer(served.client, served.texts, texts(["x"] * 1025)), 413, "too_many_inputs")


def test_a_large_body_is_allowed_as_for_predict_and_a_larger_one_refused(served: Served) -> None:
    assert infer(served.client, served.texts, texts(["word " * 100_000])).status_code == 200
    answer = served.client.post(f"/v2/models/{served.texts}/infer", content=bytes(64_000_001))
    assert_refused(answer, 413, "body_too_large")


def test_a_name_means_its_newest_version_and_a_number_one_of_them(served: Served) -> None:
    first, second = (publish(served.service, name="birds") for _ in range(2))
    for address, model in (("birds", second), ("birds/versions/1", first), ("birds@latest", second), (first, first)):
        answer = served.client.post(f"/v2/models/{address}/infer", json=images(FILES))
        assert answer.json()["parameters"] == {"model": model}, address
    metadata = served.client.get("/v2/models/birds").json()
    assert (metadata["name"], metadata["versions"]) == ("birds", ["1", "2"])
    assert served.client.get(f"/v2/models/{first}").json()["versions"] == ["1"]
    assert served.client.get("/v2/models/birds/versions/2/ready").json() == {"name": "birds", "ready": True}


def test_what_is_not_there_is_not_found(served: Served) -> None:
    for address in (f"{served.texts}/versions/1", "insects/versions/99"):
        assert_refused(served.client.get(f"/v2/models/{address}"), 404, "version_not_found")
        assert_refused(served.client.get(f"/v2/models/{address}/ready"), 404, "version_not_found")
    assert_refused(infer(served.client, "nobody", texts(WORDS)), 404, "model_not_found")
    assert_refused(infer(served.client, "insects@nowhere", texts(WORDS)), 404, "alias_not_found")
    with served.service.user("eve") as eve:
        assert_refused(infer(eve, served.texts, texts(WORDS)), 404, "model_not_found")
        assert_refused(eve.get("/v2/models/insects"), 404, "model_not_found")


def test_metadata_names_every_tensor_of_images(served: Served) -> None:
    found = served.client.get(f"/v2/models/{served.images}").json()
    assert found["platform"] == "pytorch_finetuned"
    assert [(one["name"], one["datatype"], one["shape"]) for one in found["inputs"]] == [
        ("image", "BYTES", [-1]),
        ("pixels", "FP32", [-1, 3, 224, 224]),
    ]
    assert [(one["name"], one["datatype"], one["shape"]) for one in found["outputs"]] == [
        ("label", "BYTES", [-1]),
        ("score", "FP32", [-1]),
        ("probabilities", "FP32", [-1, 3]),
        ("logits", "FP32", [-1, 3]),
    ]


def test_metadata_names_the_input_of_texts(served: Served) -> None:
    found = served.client.get(f"/v2/models/{served.texts}").json()
    assert found["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]


def test_the_service_names_the_extension_that_it_has(served: Served) -> None:
    assert served.client.get("/v2").json()["extensions"] == ["binary_tensor_data"]


def test_probes_need_no_key_and_all_else_does(served: Served) -> None:
    with served.service.client(key=None) as nobody:
        assert nobody.get("/v2/health/live").json() == {"live": True}
        assert nobody.get("/v2/health/ready").json() == {"ready": True}
        for path in ("/v2", f"/v2/models/{served.texts}", f"/v2/models/{served.texts}/ready"):
            assert_refused(nobody.get(path), 401, "missing_key")
        assert_refused(infer(nobody, served.texts, texts(WORDS)), 401, "missing_key")


def test_a_wrong_method_and_a_wrong_address_are_told_in_the_protocols_form(served: Served) -> None:
    assert_refused(served.client.get(f"/v2/models/{served.texts}/infer"), 405, "method_not_allowed")
    assert_refused(served.client.get("/v2/repository/index"), 404, "not_found")
    assert "error" not in served.client.get("/v3").json()
