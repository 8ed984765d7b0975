"""Upload, fine-tune, predict through the real processes, with really pretrained weights."""

import base64
import io
import math
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from models_store import bundle, registry
from models_store.backbones import FAMILIES, split_name
from models_store.errors import FinetunedError
from models_store.mirror import Mirror
from tests.e2e import sets
from tests.e2e.conftest import LITE0, MINILM, PICTURES
from tests.e2e.service import Service

COLOURS = ("blue", "green", "red")


def base64_picture(colour: str, seed: int) -> str:
    return base64.b64encode(sets.picture(colour, seed)).decode()


def predict(service: Service, **body: Any) -> Any:
    answer = service.client.post("/predict", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["predictions"]


def test_a_frozen_image_job_learns_and_its_model_tells_unseen_pictures_apart(
    service: Service, picture_model: str
) -> None:
    truth = [(colour, seed) for colour in COLOURS for seed in range(500, 506)]
    predictions = predict(service, model=picture_model, inputs=[base64_picture(*one) for one in truth])
    right = [one["label"] == colour for one, (colour, _) in zip(predictions, truth, strict=True)]
    assert sum(right) / len(right) > 0.8


def test_a_frozen_text_job_learns_and_its_model_tells_unseen_sentences_apart(
    service: Service, sentence_model: str
) -> None:
    truth = [(label, number) for label in sets.WORDS for number in range(900, 906)]
    predictions = predict(service, model=sentence_model, inputs=[sets.sentence(*one) for one in truth])
    right = [one["label"] == label for one, (label, _) in zip(predictions, truth, strict=True)]
    assert sum(right) / len(right) > 0.8
    assert predictions[0]["diagnostics"]["truncated"] is False


@pytest.mark.parametrize("family", ["image", "text"])
def test_a_frozen_backbone_is_bit_identical_after_its_job(
    family: str, service: Service, picture_model: str, sentence_model: str
) -> None:
    model_id, backbone = {"image": (picture_model, LITE0), "text": (sentence_model, MINILM)}[family]
    kind, name = split_name(backbone)
    store = service.data_dir / "store"
    before = FAMILIES[kind].load(name, "DEFAULT", Mirror(store), {}).module.state_dict()
    stored = bundle.load(registry.directory(store, model_id), store).network.backbone.state_dict()
    assert list(stored) == list(before)
    assert all(torch.equal(stored[key], before[key]) for key in before)
    shown = service.client.get(f"/models/{model_id}").json()
    assert shown["freeze_proof"]["unchanged"] is True
    assert any("running_mean" in key for key in before) == (family == "image")


@pytest.mark.parametrize("family", ["image", "text"])
def test_served_logits_are_those_of_the_stored_model_in_float32(
    family: str, service: Service, picture_model: str, sentence_model: str, pictures: str, sentences: str
) -> None:
    model_id, dataset = {"image": (picture_model, pictures), "text": (sentence_model, sentences)}[family]
    store = service.data_dir / "store"
    items = service.client.get(f"/datasets/{dataset}/items", params={"split": "validation"}).json()["data"]
    contents = [service.client.get(f"/datasets/{dataset}/items/{item['id']}/content").content for item in items]
    stored = bundle.load(registry.directory(store, model_id), store)
    network = stored.network
    head = load_file(registry.directory(store, model_id) / "head.safetensors")
    assert torch.equal(network.head.weight, head["weight"])
    inputs = [base64.b64encode(one).decode() if family == "image" else one.decode() for one in contents]
    served = predict(service, model=model_id, inputs=inputs, parameters={"logits": True})
    for one, content in zip(served, contents, strict=True):
        (prepared,) = stored.preprocessing.prepare([content])
        assert not isinstance(prepared, FinetunedError)
        with torch.no_grad():
            expected = network(stored.preprocessing.collate([prepared]))[0]
        assert torch.allclose(torch.tensor(one["logits"]), expected, atol=1e-4, rtol=0)


def test_predicting_the_validation_items_gives_the_accuracy_of_the_job(
    service: Service, sentence_model: str, sentences: str
) -> None:
    items = service.client.get(f"/datasets/{sentences}/items", params={"split": "validation", "limit": 100}).json()
    predictions = predict(service, model=sentence_model, inputs=[item["text"] for item in items["data"]])
    right = [one["label"] == item["label"] for one, item in zip(predictions, items["data"], strict=True)]
    shown = service.client.get(f"/models/{sentence_model}").json()
    assert sum(right) / len(right) == pytest.approx(shown["metrics"]["val_accuracy"], abs=1e-6)


def test_two_identical_requests_give_the_same_scores_to_the_bit(service: Service, picture_model: str) -> None:
    once, again = (predict(service, model=picture_model, inputs=base64_picture("red", 7)) for _ in range(2))
    assert once == again


def test_batched_and_alone_agree_within_a_millionth(service: Service, sentence_model: str) -> None:
    texts = [sets.sentence(label, number) for label in sets.WORDS for number in range(4)] + ["short", "word " * 200]
    together = predict(service, model=sentence_model, inputs=texts)
    for text, batched in zip(texts, together, strict=True):
        (alone,) = predict(service, model=sentence_model, inputs=text)
        assert alone["label"] == batched["label"]
        assert alone["score"] == pytest.approx(batched["score"], abs=1e-6)


def test_a_text_longer_than_the_model_reads_is_cut_and_the_answer_says_so(
    service: Service, sentence_model: str
) -> None:
    (long,) = predict(service, model=sentence_model, inputs="wonderful " * 2000)
    assert (long["diagnostics"]["truncated"], long["diagnostics"]["tokens"]) == (True, 512)


def test_a_bad_item_fails_alone(service: Service, picture_model: str) -> None:
    good = base64_picture("red", 3)
    broken = base64.b64encode(b"no image at all").decode()
    first, second, third, fourth = predict(service, model=picture_model, inputs=[good, broken, "%%%", good])
    assert first == fourth
    assert first["label"] in COLOURS
    assert second["error"]["code"] == "unreadable_image"
    assert third["error"]["code"] == "invalid_base64"


def test_json_multipart_and_raw_bodies_give_the_same_answer(service: Service, picture_model: str) -> None:
    picture = sets.picture("blue", 11)
    as_json = predict(service, model=picture_model, inputs=base64.b64encode(picture).decode())
    files = [("file", ("a.jpg", io.BytesIO(picture), "image/jpeg"))] * 2
    multipart = service.client.post("/predict", data={"model": picture_model}, files=files).json()["predictions"]
    headers = {"Content-Type": "image/jpeg"}
    raw = service.client.post("/predict", params={"model": picture_model}, content=picture, headers=headers).json()
    assert raw["predictions"] == as_json
    assert [one["label"] for one in multipart] == [as_json[0]["label"]] * 2


def test_full_fine_tuning_moves_the_backbone_at_its_own_rate(service: Service, sentences: str) -> None:
    training = {"max_epochs": 1, "backbone_lr": 2e-5, "head_lr": 1e-3, "scheduler": "constant"}
    job = service.finished(service.post_job(sentences, MINILM, strategy="full", training=training))
    assert job["status"] == "succeeded", job["error"]
    (epoch,) = service.client.get(f"/jobs/{job['id']}/metrics").json()["epochs"]
    assert epoch["lr"] == pytest.approx({"backbone": 2e-5, "head": 1e-3})
    model = service.client.get(f"/models/{job['model']}").json()
    assert model["freeze_proof"]["unchanged"] is False
    assert model["parity"]["passed"] is True
    assert model["parity"]["max_abs_logit_diff"] <= 1e-4


def test_every_default_is_resolved_in_the_jobs_config(service: Service, picture_model: str) -> None:
    job = service.client.get(f"/jobs/{service.client.get(f'/models/{picture_model}').json()['job']}").json()
    training = job["config"]["training"]
    assert training["max_epochs"] == PICTURES["max_epochs"]
    assert training["early_stopping"] == {"monitor": "val_loss", "patience": 3}
    assert (training["scheduler"], training["gradient_clip_val"]) == ("cosine", 1.0)
    assert training["accelerator"] in {"cpu", "gpu"}
    assert training["precision"] in {"32", "16-mixed", "bf16-mixed"}
    assert job["decision"]["strategy"] == "freeze"


def test_a_small_set_is_frozen_by_auto_and_the_reason_is_told(service: Service, pictures: str) -> None:
    job = service.finished(service.post_job(pictures, LITE0, training={"max_epochs": 1}))
    assert job["decision"]["strategy"] == "freeze"
    assert "training examples" in job["decision"]["reason"]


def test_patience_ends_a_training_that_does_not_improve(service: Service, pictures: str) -> None:
    training = {"max_epochs": 50, "head_lr": 1e-12, "early_stopping": {"monitor": "val_accuracy", "patience": 2}}
    job = service.finished(service.post_job(pictures, LITE0, strategy="freeze", training=training))
    assert job["status"] == "succeeded", job["error"]
    epochs = service.client.get(f"/jobs/{job['id']}/metrics").json()["epochs"]
    assert len(epochs) == 3


def test_the_rate_follows_a_cosine(service: Service, picture_model: str) -> None:
    job = service.client.get(f"/models/{picture_model}").json()["job"]
    rates = [epoch["lr"]["head"] for epoch in service.client.get(f"/jobs/{job}/metrics").json()["epochs"]]
    assert len(rates) > 3
    expected = [0.005 * (1 + math.cos(math.pi * epoch / PICTURES["max_epochs"])) for epoch in range(1, len(rates) + 1)]
    assert rates == pytest.approx(expected, abs=1e-7)


def test_weights_that_are_nowhere_fail_the_job_with_what_to_do(service: Service, pictures: str) -> None:
    job = service.finished(service.post_job(pictures, "torchvision/resnet18", training={"max_epochs": 1}))
    assert (job["status"], job["error"]["code"]) == ("failed", "weights_unavailable")
    assert "finetuned weights add" in job["error"]["message"]
