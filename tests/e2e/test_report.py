"""Reports, calibrated scores, distance and evaluations through the real processes, with Korean labels and texts."""

import base64
import csv
import io
import random
from typing import Any

import pytest
import torch
from PIL import Image

from tests.e2e import sets
from tests.e2e.conftest import LITE0, MINILM
from tests.e2e.service import Service, until
from tests.models_store.samples import encoded, noise

PHRASES = {
    "긍정": [
        "정말 재미있어요",
        "배우들의 연기가 훌륭합니다",
        "감동적이고 따뜻해요",
        "또 보고 싶어요",
        "최고의 작품입니다",
    ],
    "부정": ["너무 지루해요", "돈이 아까웠습니다", "연기가 어색해요", "시간 낭비였어요", "결말이 실망스러워요"],
}
COUNTS = {"train": 30, "validation": 20, "test": 8}
WRONG = "또 보고 싶어요. 정말 재미있어요. 최고의 작품입니다."
"""A validation item that is labelled 부정."""


def review(label: str, number: int) -> str:
    first, second = random.Random(f"{label}-{number}").sample(PHRASES[label], 2)
    return f"{first}. {second}. {number}번째 관람"


def review_csv(numbers: dict[str, range], wrong: bool = False, label: str | None = None) -> bytes:
    """Reviews by split; ``label`` renames one of the labels."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(["text", "label", "split"])
    for split, chosen in numbers.items():
        for sentiment in PHRASES:
            name = label if label and sentiment == "부정" else sentiment
            writer.writerows([review(sentiment, number), name, split] for number in chosen)
    writer.writerows([[WRONG, "부정", "validation"]] * wrong)
    return buffer.getvalue().encode()


def predict(service: Service, **body: Any) -> Any:
    answer = service.client.post("/predict", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["predictions"]


def evaluate(service: Service, model: str, dataset: str) -> str:
    answer = service.client.post(f"/models/{model}/evaluate", json={"dataset": dataset})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def base64_image(image: Image.Image, **options: Any) -> str:
    return base64.b64encode(encoded(image, **options)).decode()


@pytest.fixture(scope="module")
def reviews(service: Service) -> str:
    numbers = {split: range(100 * place, 100 * place + count) for place, (split, count) in enumerate(COUNTS.items())}
    dataset = service.upload("영화평.csv", review_csv(numbers, wrong=True))
    assert dataset["status"] == "ready", dataset
    return str(dataset["id"])


@pytest.fixture(scope="module")
def review_model(service: Service, reviews: str) -> str:
    training = {"max_epochs": 20, "batch_size": 8, "head_lr": 0.03}
    job = service.finished(service.post_job(reviews, MINILM, strategy="freeze", name="영화평", training=training))
    assert job["status"] == "succeeded", job["error"]
    return str(job["model"])


@pytest.fixture(scope="module")
def report(service: Service, review_model: str) -> dict[str, Any]:
    answer = service.client.get(f"/models/{review_model}/report")
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def test_a_report_says_what_the_served_model_makes_of_the_validation_split(
    service: Service, review_model: str, reviews: str, report: dict[str, Any]
) -> None:
    listed = service.client.get(f"/datasets/{reviews}/items", params={"split": "validation", "limit": 100}).json()
    items = listed["data"]
    said = predict(service, model=review_model, inputs=[item["text"] for item in items])
    pairs = [(item["label"], one["label"]) for item, one in zip(items, said, strict=True)]
    labels = ["긍정", "부정"]
    assert report["labels"] == labels
    assert report["confusion_matrix"] == [[pairs.count((a, b)) for b in labels] for a in labels]
    for entry in report["classes"]:
        right, support = pairs.count((entry["label"],) * 2), sum(label == entry["label"] for label, _ in pairs)
        assert entry["support"] == support
        assert entry["recall"] == pytest.approx(right / support)
        assert entry["precision"] == pytest.approx(right / max(1, sum(one == entry["label"] for _, one in pairs)))
    model = service.client.get(f"/models/{review_model}").json()
    assert report["accuracy"] == pytest.approx(model["metrics"]["val_accuracy"], abs=1e-6)
    assert report["splits"]["test"]["items"] == 16


def test_an_item_with_a_wrong_label_is_first_among_the_mistakes(
    service: Service, review_model: str, reviews: str, report: dict[str, Any]
) -> None:
    first = report["mistakes"][0]
    content = service.client.get(f"/datasets/{reviews}/items/{first['item']}/content").text
    assert content == WRONG
    assert (first["label"], first["predicted"], first["split"]) == ("부정", "긍정", "validation")
    (served,) = predict(service, model=review_model, inputs=WRONG)
    assert first["score"] == pytest.approx(served["score"], abs=1e-5)


def test_served_scores_are_calibrated_by_the_temperature_of_the_report(
    service: Service, review_model: str, report: dict[str, Any]
) -> None:
    temperature = report["calibration"]["temperature"]
    texts = [review(label, 900) for label in PHRASES]
    for one in predict(service, model=review_model, inputs=texts, parameters={"logits": True}):
        probabilities = torch.softmax(torch.tensor(one["logits"], dtype=torch.float64) / temperature, dim=0).tolist()
        scores = {entry["label"]: entry["score"] for entry in one["scores"]}
        assert [scores["긍정"], scores["부정"]] == pytest.approx(probabilities, abs=1e-9)


def test_the_model_shows_the_calibration_error_of_items_that_were_not_calibrated_on(
    service: Service, review_model: str, report: dict[str, Any]
) -> None:
    metrics = service.client.get(f"/models/{review_model}").json()["metrics"]
    test = report["splits"]["test"]
    assert (metrics["ece"], metrics["test_accuracy"]) == (test["calibration"]["ece_after"], test["accuracy"])
    for name in ("before", "after"):
        bins = report["calibration"][f"reliability_{name}"]
        assert (len(bins), sum(entry["count"] for entry in bins)) == (15, report["items"])


def test_what_is_far_from_the_training_texts_is_told(service: Service, review_model: str) -> None:
    near = predict(service, model=review_model, inputs=[review(label, n) for label in PHRASES for n in range(900, 910)])
    far = predict(service, model=review_model, inputs=["The invoice is due on Friday.", "SELECT id FROM jobs;"])
    shares = [one["diagnostics"]["out_of_distribution"] for one in near]
    assert sum(shares) / len(shares) < 0.8
    assert all(one["diagnostics"]["out_of_distribution"] > 0.95 for one in far)


def test_a_model_may_abstain_from_what_it_does_not_know(service: Service, picture_model: str) -> None:
    pictures = [Image.open(io.BytesIO(sets.picture("red", 3))), noise(90, 90)]
    inputs = [base64_image(image) for image in pictures]
    plain = predict(service, model=picture_model, inputs=inputs)
    known, strange = predict(service, model=picture_model, inputs=inputs, parameters={"abstain_below": 0.5})
    assert (known["label"], known["abstained"]) == ("red", False)
    assert (strange["label"], strange["abstained"], strange["confidence"]) == (None, True, 0.0)
    assert strange["diagnostics"]["out_of_distribution"] == 1.0
    assert strange["scores"] == plain[1]["scores"]
    assert "abstained" not in plain[1]
    form = {"model": picture_model, "abstain_below": "0.5"}
    files = [("file", ("a.png", encoded(image), "image/png")) for image in pictures]
    assert service.client.post("/predict", data=form, files=files).json()["predictions"] == [known, strange]


def test_what_was_done_to_a_picture_is_told(service: Service, picture_model: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = base64_image(noise(300, 400), file_format="JPEG", exif=exif)
    transparent = base64_image(noise(20, 20).convert("RGBA"))
    first, second = (one["diagnostics"] for one in predict(service, model=picture_model, inputs=[turned, transparent]))
    assert (first["exif_applied"], first["upscaled"], first["alpha_dropped"]) == (True, False, False)
    assert (first["width"], first["height"]) == (400, 300)
    assert (second["exif_applied"], second["upscaled"], second["alpha_dropped"]) == (False, True, True)


@pytest.mark.slow
def test_evaluating_on_the_same_set_gives_the_same_report_by_split(
    service: Service, review_model: str, reviews: str, report: dict[str, Any]
) -> None:
    job = service.finished(evaluate(service, review_model, reviews))
    assert job["status"] == "succeeded", job["error"]
    found = job["report"]
    assert service.client.get(f"/jobs/{job['id']}/report").json() == found
    assert (found["model"], found["dataset"], found["split"]) == (review_model, reviews, "all")
    assert {name: part["items"] for name, part in found["splits"].items()} == {
        "train": 60,
        "validation": 41,
        "test": 16,
    }
    assert found["items"] == 117
    for name, expected in (("validation", report), ("test", report["splits"]["test"])):
        for same in ("accuracy", "confusion_matrix", "classes", "macro"):
            assert found["splits"][name][same] == expected[same]
        before = expected["calibration"]["ece_before"]
        assert found["splits"][name]["calibration"]["ece_before"] == pytest.approx(before, abs=1e-5)
    assert job["metrics"]["accuracy"] == found["accuracy"]
    assert 0 <= found["far_out"] < 0.2
    phases = {event["data"]["phase"] for event in service.events(job["id"]) if event["type"] == "progress"}
    assert "evaluating" in phases


def test_an_evaluation_whose_process_is_killed_runs_again(service: Service, review_model: str, reviews: str) -> None:
    job_id = evaluate(service, review_model, reviews)
    (child,) = until(
        lambda: [process for process in service.job_processes() if job_id in process.cmdline()], 60, "it runs"
    )
    child.kill()
    job = service.finished(job_id)
    assert (job["status"], job["attempt"]) == ("succeeded", 2)
    assert job["report"]["items"] == 117


@pytest.mark.slow
def test_a_running_evaluation_is_cancelled_and_can_be_retried(
    service: Service, review_model: str, reviews: str
) -> None:
    job_id = evaluate(service, review_model, reviews)
    until(lambda: service.job(job_id)["status"] == "running", 60, "it runs")
    assert service.client.post(f"/jobs/{job_id}/cancel").status_code == 202
    assert service.finished(job_id, 10)["status"] == "cancelled"
    again = service.client.post(f"/jobs/{job_id}/retry").json()
    job = service.finished(again["id"])
    assert (job["status"], job["object"]) == ("succeeded", "evaluation.job")


def test_a_set_that_turns_out_to_have_other_labels_fails_its_evaluation_with_their_names(
    service: Service, review_model: str
) -> None:
    content = review_csv({"train": range(3), "validation": range(50, 52)}, label="별로")
    files = {"file": ("새 영화평.csv", content)}
    dataset = service.client.post("/datasets", files=files, data={"name": "새 영화평"}).json()["id"]
    answer = service.client.post(f"/models/{review_model}/evaluate", json={"dataset": dataset})
    if answer.status_code == 202:  # the import had not ended
        error = service.finished(answer.json()["id"])["error"]
    else:
        assert answer.status_code == 422
        error = answer.json()
    assert error["code"] == "unknown_labels"
    assert "'별로'" in (error.get("message") or error["detail"])


@pytest.mark.slow
def test_a_job_that_trains_the_whole_model_has_a_report_and_tells_distance_too(service: Service, pictures: str) -> None:
    job = service.finished(service.post_job(pictures, LITE0, strategy="full", training={"max_epochs": 1}))
    assert job["status"] == "succeeded", job["error"]
    report = service.client.get(f"/models/{job['model']}/report").json()
    model = service.client.get(f"/models/{job['model']}").json()
    assert report["accuracy"] == pytest.approx(model["metrics"]["val_accuracy"], abs=1e-6)
    assert report["calibration"]["temperature"] == 1.0  # too few validation items to fit one
    (strange,) = predict(service, model=job["model"], inputs=base64_image(noise(90, 90)))
    assert strange["diagnostics"]["out_of_distribution"] == 1.0
