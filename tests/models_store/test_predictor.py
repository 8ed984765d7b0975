"""One answer an item, in order, in the form of the API; what is wrong with one item is no other's business."""

from pathlib import Path

import numpy
import pytest
import torch

from models_store import bundle
from models_store.backbones import FAMILIES
from models_store.engines import ENGINES
from models_store.errors import InvalidError
from models_store.mirror import Mirror
from models_store.network import Network
from models_store.outliers import Outliers
from models_store.predictor import Judged, Predictor
from models_store.preprocessing.protocol import Prepared
from tests.models_store.samples import encoded, minilm, noise, photos

LABELS = ["ants", "bees", "나비"]
TEXTS = [f"text number {number} {'is longer ' * (number % 17)}".encode() for number in range(40)]


def predictor(store: Path, family: str, name: str, weights: str | None, **card: float) -> Predictor:
    torch.manual_seed(0)
    backbone = FAMILIES[family].load(name, weights, Mirror(store), {})
    network = Network(backbone.module, backbone.architecture, classes=len(LABELS))
    directory = store / "models" / f"mdl_{len(card)}"
    bundle.save(
        directory,
        store,
        network,
        backbone.architecture,
        backbone.preprocessing,
        {"labels": LABELS, **card},
        outliers=_outliers(backbone.architecture.width) if card else None,
    )
    stored = bundle.read(directory)
    return Predictor(stored, ENGINES["torch"](store, stored.card["trunk"], "f32"))


def _outliers(width: int) -> Outliers:
    chance = torch.Generator().manual_seed(0)
    return Outliers.fit(torch.randn(9, width, generator=chance), 3, torch.randn(8, width, generator=chance))


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    store = tmp_path_factory.mktemp("store")
    Mirror(store).add("hf/some/minilm", "DEFAULT", minilm())
    return predictor(store, "hf", "some/minilm", "DEFAULT")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return predictor(tmp_path_factory.mktemp("store"), "timm", "test_resnet", None)


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """As ``images``, with a temperature and references."""
    return predictor(tmp_path_factory.mktemp("store"), "timm", "test_resnet", None, temperature=0.25)


def test_scores_are_calibrated_and_logits_are_not(images: Predictor, calibrated: Predictor) -> None:
    content = photos()["flower"]
    (raw,), (served,) = (model.predict([content], with_logits=True) for model in (images, calibrated))
    assert served["logits"] == raw["logits"]
    probabilities = torch.softmax(torch.tensor(raw["logits"], dtype=torch.float64) / 0.25, dim=0).tolist()
    scores = {entry["label"]: entry["score"] for entry in served["scores"]}
    assert [scores[label] for label in LABELS] == pytest.approx(probabilities, abs=1e-12)
    assert served["score"] > raw["score"] + 1e-3


def test_each_item_is_told_how_far_it_is_from_the_training_data(calibrated: Predictor) -> None:
    good, bad, alone = calibrated.predict([photos()["flower"], b"", encoded(noise(60, 60))])
    for answer in (good, alone):
        share = answer["diagnostics"]["out_of_distribution"]
        assert (share * 8).is_integer()
        assert 0 <= share <= 1
    assert bad.keys() == {"error"}


def test_models_of_earlier_versions_tell_no_distance(images: Predictor) -> None:
    (answer,) = images.predict([photos()["flower"]])
    assert "out_of_distribution" not in answer["diagnostics"]


def test_an_answer_has_the_form_of_the_api(texts: Predictor) -> None:
    (answer,) = texts.predict([b"a good film"])
    assert answer.keys() == {"label", "score", "scores", "diagnostics"}
    assert {entry["label"] for entry in answer["scores"]} == set(LABELS)
    assert [entry["score"] for entry in answer["scores"]] == sorted(
        (entry["score"] for entry in answer["scores"]), reverse=True
    )
    assert {"label": answer["label"], "score": answer["score"]} == answer["scores"][0]
    assert sum(entry["score"] for entry in answer["scores"]) == pytest.approx(1, abs=1e-12)
    assert answer["diagnostics"] == {"tokens": 5, "truncated": False}


def test_only_the_best_are_given_where_fewer_are_asked_for(texts: Predictor) -> None:
    (all_of_them,), (best,) = texts.predict([b"x"], top_k=50), texts.predict([b"x"], top_k=1)
    assert best["scores"] == all_of_them["scores"][:1]


def test_logits_come_in_the_order_of_the_labels(texts: Predictor) -> None:
    (answer,) = texts.predict([b"a good film"], with_logits=True)
    probabilities = torch.softmax(torch.tensor(answer["logits"], dtype=torch.float64), dim=0).tolist()
    scores = {entry["label"]: entry["score"] for entry in answer["scores"]}
    assert [scores[label] for label in LABELS] == pytest.approx(probabilities, abs=1e-9)


def test_bad_items_fail_alone_and_in_their_places(texts: Predictor) -> None:
    good, bad, empty, last = texts.predict([b"one", b"\xff", b" ", b"two"])
    assert bad["error"]["code"] == "not_utf8"
    assert empty["error"]["code"] == "empty_text"
    assert good["score"] == pytest.approx(texts.predict([b"one"])[0]["score"], abs=1e-6)
    assert last["score"] == pytest.approx(texts.predict([b"two"])[0]["score"], abs=1e-6)


def test_bad_items_alone_give_errors_alone(images: Predictor) -> None:
    assert [answer["error"]["code"] for answer in images.predict([b"", b"GIF89a"])] == ["unreadable_image"] * 2
    assert images.predict([]) == []


def test_the_same_item_alone_gives_the_same_bits_twice(texts: Predictor, images: Predictor) -> None:
    for model, content in ((texts, b"a good film"), (images, photos()["flower"])):
        assert model.predict([content], with_logits=True) == model.predict([content], with_logits=True)


def test_what_else_is_in_the_batch_moves_no_probability(texts: Predictor) -> None:
    together = texts.predict(TEXTS)
    for content, answer in zip(TEXTS, together, strict=True):
        (alone,) = texts.predict([content])
        scores = {entry["label"]: entry["score"] for entry in alone["scores"]}
        assert all(abs(entry["score"] - scores[entry["label"]]) < 1e-6 for entry in answer["scores"])


def test_order_holds_across_batches(images: Predictor) -> None:
    contents = [encoded(noise(180, 180, seed=seed)) for seed in range(5)]
    results = images.judged(contents, batch_size=2)
    assert len(results) == 5
    for content, result in zip(contents, results, strict=True):
        (alone,) = images.judged([content])
        assert isinstance(result, Judged)
        assert isinstance(alone, Judged)
        assert torch.allclose(result.logits, alone.logits, atol=1e-5)


def test_pixels_of_the_shape_that_the_preprocessing_makes_are_taken_as_they_are(images: Predictor) -> None:
    content = photos()["flower"]
    (prepared,) = images.prepare([content])
    assert isinstance(prepared, Prepared)
    (accepted,) = images.accept([prepared.tensors["pixels"].numpy()])
    assert isinstance(accepted, Prepared)
    assert torch.equal(images.run([accepted]), images.run([prepared]))


def test_other_pixels_fail_alone(images: Predictor, texts: Predictor) -> None:
    side = images.prepare([photos()["flower"]])[0].tensors["pixels"].shape[-1]  # type: ignore[union-attr]
    good = numpy.zeros((3, side, side), numpy.float32)
    broken = good.copy()
    broken[0, 0, 0] = numpy.nan
    found = images.accept([good, broken, good[:, 1:], good])
    assert [isinstance(one, InvalidError) for one in found] == [False, True, True, False]
    assert all(isinstance(one, InvalidError) for one in texts.accept([good]))
