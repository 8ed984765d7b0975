"""Public clients of other protocols, as they are installed from PyPI, get what ``POST /predict`` says."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from tritonclient import http as triton
from tritonclient.utils import InferenceServerException

from models_store.preprocessing.image import ImagePreprocessing
from models_store.preprocessing.protocol import Prepared
from tests.e2e import sets
from tests.e2e.service import KEY, Service

PICTURES = [sets.picture(colour, 700 + number) for number in range(3) for colour in sets.COLOURS]
SENTENCES = [sets.sentence(label, 700 + number) for number in range(3) for label in sets.WORDS]


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[triton.InferenceServerClient]:
    """Triton's own client; it sends tensors as bytes unless it is told otherwise."""
    with triton.InferenceServerClient(service.url.removeprefix("http://")) as client:
        yield client


def key() -> dict[str, str]:
    """Another dictionary for each request: the client writes the length of this request's JSON into it."""
    return {"Authorization": f"Bearer {KEY}"}


def tensor(name: str, array: "numpy.typing.NDArray[Any]", *, binary: bool = True) -> triton.InferInput:
    made = triton.InferInput(name, [*array.shape], "FP32" if array.dtype == numpy.float32 else "BYTES")
    return made.set_data_from_numpy(array, binary_data=binary)


def assert_as_predicted(service: Service, model: str, inputs: list[str], result: triton.InferResult) -> None:
    """Labels, scores and probabilities are those of POST /predict."""
    answer = service.client.post("/predict", json={"model": model, "inputs": inputs})
    expected = answer.json()["predictions"]
    labels = service.client.get(f"/models/{model}").json()["labels"]
    scores = [{one["label"]: one["score"] for one in prediction["scores"]} for prediction in expected]
    found = result.as_numpy("probabilities")
    assert found.dtype == numpy.float32
    assert numpy.abs(found - [[one[label] for label in labels] for one in scores]).max() < 1e-6
    found_labels = [label if isinstance(label, str) else label.decode() for label in result.as_numpy("label")]
    assert found_labels == [one["label"] for one in expected]  # as texts in JSON, as bytes in the binary form
    assert numpy.abs(result.as_numpy("score") - [one["score"] for one in expected]).max() < 1e-6


def test_tritons_client_classifies_texts(
    service: Service, client: triton.InferenceServerClient, sentence_model: str
) -> None:
    texts = tensor("text", numpy.array([text.encode() for text in SENTENCES], object))
    result = client.infer(sentence_model, [texts], headers=key(), request_id="r-1")
    assert_as_predicted(service, sentence_model, SENTENCES, result)
    assert result.get_response()["id"] == "r-1"


def test_tritons_client_classifies_images(
    service: Service, client: triton.InferenceServerClient, picture_model: str
) -> None:
    result = client.infer(picture_model, [tensor("image", numpy.array(PICTURES, object))], headers=key())
    assert_as_predicted(service, picture_model, [base64.b64encode(one).decode() for one in PICTURES], result)


def test_tritons_client_classifies_pixels_that_were_preprocessed_as_the_model_says(
    service: Service, client: triton.InferenceServerClient, picture_model: str
) -> None:
    told = service.client.get(f"/models/{picture_model}").json()["preprocessing"]
    preprocessing = ImagePreprocessing.from_card(told)
    items = [one for one in preprocessing.prepare(PICTURES) if isinstance(one, Prepared)]
    pixels = preprocessing.collate(items)["pixels"].numpy()
    (declared,) = [
        one for one in client.get_model_metadata(picture_model, headers=key())["inputs"] if one["name"] == "pixels"
    ]
    assert declared["shape"] == [-1, *pixels.shape[1:]]
    result = client.infer(picture_model, [tensor("pixels", pixels)], headers=key())
    assert_as_predicted(service, picture_model, [base64.b64encode(one).decode() for one in PICTURES], result)


def test_tritons_client_gets_the_same_in_json(
    service: Service, client: triton.InferenceServerClient, sentence_model: str
) -> None:
    texts = tensor("text", numpy.array(SENTENCES, object), binary=False)
    wanted = [
        triton.InferRequestedOutput(name, binary_data=False) for name in ("label", "score", "probabilities", "logits")
    ]
    result = client.infer(sentence_model, [texts], outputs=wanted, headers=key())
    assert_as_predicted(service, sentence_model, SENTENCES, result)
    assert result.as_numpy("logits").shape == (len(SENTENCES), 2)


def test_tritons_client_finds_the_service_and_its_models(
    service: Service, client: triton.InferenceServerClient, picture_model: str
) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert "binary_tensor_data" in client.get_server_metadata(headers=key())["extensions"]
    shown = service.client.get(f"/models/{picture_model}").json()
    version = str(shown["version"])
    assert client.is_model_ready(shown["name"], version, headers=key())
    assert version in client.get_model_metadata(shown["name"], headers=key())["versions"]
    assert not client.is_model_ready("nobody", headers=key())
    images = tensor("image", numpy.array(PICTURES[:1], object))
    result = client.infer(shown["name"], [images], model_version=version, headers=key())
    assert result.get_response()["parameters"] == {"model": picture_model}


def test_tritons_client_is_told_what_is_wrong(client: triton.InferenceServerClient, picture_model: str) -> None:
    images = tensor("image", numpy.array([PICTURES[0], b"no picture"], object))
    with pytest.raises(InferenceServerException, match=r"image\[1\]: Not a complete image") as refused:
        client.infer(picture_model, [images], headers=key())
    assert refused.value.status() == "422"
    with pytest.raises(InferenceServerException, match="needs an API key"):
        client.infer(picture_model, [images])


def scores_of(service: Service, model: str, given: str) -> dict[str, float]:
    (prediction,) = service.client.post("/predict", json={"model": model, "inputs": given}).json()["predictions"]
    return {one["label"]: one["score"] for one in prediction["scores"]}


def test_hugging_faces_client_classifies_images(service: Service, picture_model: str, tmp_path: Path) -> None:
    """Raw bytes; a file; and, where there are parameters, base64 in JSON."""
    client = InferenceClient(model=f"{service.url}/hf/models/{picture_model}", token=KEY)
    expected = scores_of(service, picture_model, base64.b64encode(PICTURES[0]).decode())
    (tmp_path / "picture.jpg").write_bytes(PICTURES[0])
    for given in (PICTURES[0], tmp_path / "picture.jpg"):
        found = client.image_classification(given)
        assert {one.label: one.score for one in found} == pytest.approx(expected, abs=1e-6)
    (best,) = client.image_classification(PICTURES[0], top_k=1)
    assert best.score == pytest.approx(max(expected.values()), abs=1e-6)


def test_hugging_faces_client_classifies_texts(service: Service, sentence_model: str) -> None:
    client = InferenceClient(model=f"{service.url}/hf/models/{sentence_model}", token=KEY)
    for sentence in SENTENCES[:2]:
        found = client.text_classification(sentence)
        expected = scores_of(service, sentence_model, sentence)
        assert {one.label: one.score for one in found} == pytest.approx(expected, abs=1e-6)
        assert [one.score for one in found] == sorted(expected.values(), reverse=True)
    (best,) = client.text_classification(SENTENCES[0], top_k=1, function_to_apply="none")
    assert best.label == found_label(service, sentence_model)


def found_label(service: Service, model: str) -> str:
    scores = scores_of(service, model, SENTENCES[0])
    return max(scores, key=lambda label: scores[label])


def test_hugging_faces_client_is_told_what_is_wrong(service: Service, sentence_model: str) -> None:
    client = InferenceClient(model=f"{service.url}/hf/models/{sentence_model}", token=KEY)
    with pytest.raises(HfHubHTTPError, match=r"inputs\[0\]: The text holds nothing to read"):
        client.text_classification(" ")
    stranger = InferenceClient(model=f"{service.url}/hf/models/{sentence_model}", token="ft_wrong")
    with pytest.raises(HfHubHTTPError, match="key"):
        stranger.text_classification("a text")
