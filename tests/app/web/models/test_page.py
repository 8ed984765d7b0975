"""The page of a model: what it tells, and what can be done there."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest

from models_store.database.tables import AuditRow, JobRow, ModelRow
from tests.app.models.test_reports import insects
from tests.app.published import TEXTS, publish
from tests.app.service import Running
from tests.app.web.models.reported import publish_reported, report
from tests.app.web.pages import hrefs, notice, words


@pytest.fixture
def model(service: Running) -> str:
    """A model of images with a report."""
    return publish_reported(service)


@contextmanager
def _row(service: Running, model_id: str) -> Iterator[ModelRow]:
    with service.database.write() as session:
        yield session.get_one(ModelRow, model_id)


def _audited(service: Running) -> list[tuple[str, str, str]]:
    with service.database.read() as session:
        rows = session.query(AuditRow).order_by(AuditRow.id).all()
    return [(row.actor, row.action, row.object) for row in rows if not row.action.startswith("key.")]


def test_the_page_has_the_figures_of_the_report_and_a_picture_of_each_mistake(
    model: str, browser: httpx.Client
) -> None:
    answer = browser.get(f"/ui/models/{model}")
    said = words(answer)
    calibration = report(model)["calibration"]
    assert "On the validation items Accuracy 75.0%" in said
    assert f"Calibration error {calibration['ece_after']:.1%}" in said
    assert f"Before calibration Calibration error {calibration['ece_before']:.1%}" in said
    assert "temperature of 1.50" in said
    assert "ants 1 1 0 bees 0 1 0 cats 0 0 1" in said, "the confusion matrix"
    assert "Label: ants Prediction: bees 78.7%" in said
    assert "On the test items" in said
    dataset = browser.get(f"/models/{model}").json()["dataset"]
    assert f'<img src="/datasets/{dataset}/items/1/content" alt="1 개미.jpg"' in answer.text


def test_the_mistakes_of_a_text_model_are_texts(service: Running, browser: httpx.Client) -> None:
    model = publish_reported(service, kind=TEXTS)
    assert "a film that stays Label: ants Prediction: bees" in words(browser.get(f"/ui/models/{model}"))


def test_proofs_are_told_in_words(service: Running, model: str, browser: httpx.Client) -> None:
    parity = {"engine": "openvino", "precision": "f32", "items": 153, "max_abs_logit_diff": 2.5e-6, "passed": True}
    with _row(service, model) as row:
        row.card = {**row.card, "parity": parity, "freeze_proof": {"unchanged": True, "backbone_sha256": "c0ffee"}}
    said = words(browser.get(f"/ui/models/{model}"))
    assert "153 validation items went through the stored files and the serving path (OpenVINO)" in said
    assert "2.5e-06" in said
    assert "Not one weight of the backbone changed" in said
    assert "c0ffee" in said


def test_the_decision_of_its_job_is_explained(service: Running, model: str, browser: httpx.Client) -> None:
    decision = {"strategy": "freeze", "reason": "So few.", "evidence": {"training_examples": 244}, "alternatives": []}
    with service.database.write() as session:
        session.get_one(JobRow, session.get_one(ModelRow, model).job_id).decision = decision
    assert "Frozen backbone freeze" in words(browser.get(f"/ui/models/{model}"))
    browser.cookies.set("lang", "ko")
    assert "So few." in words(browser.get(f"/ui/models/{model}"))


def test_a_model_without_report_or_proofs_has_a_page(service: Running, browser: httpx.Client) -> None:
    model = publish(service)
    with _row(service, model) as row:
        row.card = {"labels": ["a"], "metrics": {}, "preprocessing": {}}
    said = words(browser.get(f"/ui/models/{model}"))
    assert "This model was made without one. Evaluate it" in said
    assert "It has no certificate with figures." in said


def test_names_and_labels_are_text(service: Running, browser: httpx.Client) -> None:
    model = publish(service, name='<script>alert("1")</script>')
    with _row(service, model) as row:
        row.card = {**row.card, "labels": ["<img src=x>", "{{ 7 * 7 }}"]}
    answer = browser.get(f"/ui/models/{model}")
    assert "<script>alert" not in answer.text
    assert "<img src=x>, {{ 7 * 7 }}" in words(answer)


def test_snippets_have_the_services_own_address(service: Running, model: str, browser: httpx.Client) -> None:
    said = words(browser.get(f"/ui/models/{model}"))
    assert f"curl -sS {service.url}/predict" in said
    assert f"-F model={model}" in said
    assert "YOUR_KEY" in said


def test_downloads_and_what_it_came_from_are_linked(model: str, browser: httpx.Client) -> None:
    links = hrefs(browser.get(f"/ui/models/{model}"))
    shown = browser.get(f"/models/{model}").json()
    wanted = [f"/models/{model}/download", f"/models/{model}/download?format=ckpt"]
    assert {*wanted, f"/ui/jobs/{shown['job']}", f"/ui/datasets/{shown['dataset']}"} <= set(links)
    assert [browser.get(href).status_code for href in wanted] == [200, 200]


def test_a_deleted_data_set_and_job_leave_the_page_whole(model: str, browser: httpx.Client) -> None:
    shown = browser.get(f"/models/{model}").json()
    for address in (f"/jobs/{shown['job']}", f"/datasets/{shown['dataset']}"):
        assert browser.delete(address).status_code == 204
    said = words(browser.get(f"/ui/models/{model}"))
    assert "Data set was deleted" in said
    assert "They went with the data set" in said


def test_promoting_moves_the_alias_and_is_audited(service: Running, model: str, browser: httpx.Client) -> None:
    answer = browser.post(f"/ui/models/{model}/aliases", data={"alias": "production"})
    assert "Remove production" in words(answer)
    assert notice(answer)["message"] == "“production” means version 1 now."
    assert browser.get(f"/models/{model}").json()["aliases"] == ["production"]
    assert _audited(service) == [("admin", "alias.moved", f"{model}@production")]


def test_rolling_back_from_the_newer_versions_page(service: Running, model: str, browser: httpx.Client) -> None:
    newer = publish(service)
    browser.post(f"/ui/models/{newer}/aliases", data={"alias": "production"})
    assert "Roll production back to v1" in words(browser.get(f"/ui/models/{newer}"))
    answer = browser.post(f"/ui/models/{model}/aliases", data={"alias": "production", "page": newer})
    assert "v2 this one" in words(answer), "the part of the page that asked"
    assert browser.get(f"/models/{model}").json()["aliases"] == ["production"]
    assert browser.get(f"/models/{newer}").json()["aliases"] == []


def test_an_alias_is_removed_and_audited(service: Running, model: str, browser: httpx.Client) -> None:
    browser.post(f"/ui/models/{model}/aliases", data={"alias": "staging"})
    answer = browser.delete(f"/ui/models/{model}/aliases/staging")
    assert "staging" not in words(answer)
    assert [action for _, action, _ in _audited(service)] == ["alias.moved", "alias.removed"]


def test_what_cannot_be_an_alias_is_refused_with_a_notice(model: str, browser: httpx.Client) -> None:
    answer = browser.post(f"/ui/models/{model}/aliases", data={"alias": "latest"}, headers={"HX-Request": "true"})
    assert answer.status_code == 422
    assert (notice(answer)["code"], notice(answer)["kind"]) == ("invalid_alias", "bad")


def test_an_evaluation_is_started_and_its_job_shown(service: Running, browser: httpx.Client) -> None:
    model, dataset = publish(service, kind=TEXTS), insects(service, browser)
    assert f'value="{dataset}"' in browser.get(f"/ui/models/{model}").text
    answer = browser.post(f"/ui/models/{model}/evaluate", data={"dataset": dataset})
    (job,) = [job for job in browser.get("/jobs").json()["data"] if job["object"] == "evaluation.job"]
    assert answer.headers["hx-redirect"] == f"/ui/jobs/{job['id']}"
    assert (job["model"], job["dataset"]) == (model, dataset)


def test_a_model_is_not_evaluated_on_data_of_another_kind(service: Running, model: str, browser: httpx.Client) -> None:
    texts = insects(service, browser)
    assert f'value="{texts}"' not in browser.get(f"/ui/models/{model}").text


def test_a_deleted_model_is_gone_and_audited(service: Running, model: str, browser: httpx.Client) -> None:
    answer = browser.delete(f"/ui/models/{model}")
    assert answer.headers["hx-redirect"] == "/ui/models"
    assert browser.get(f"/models/{model}").status_code == 404
    assert "There is nothing here" in words(browser.get(f"/ui/models/{model}"), 404)
    assert _audited(service) == [("admin", "model.deleted", model)]


def test_nothing_can_be_done_to_somebody_elses_model(
    service: Running, model: str, browser_of: Callable[[str], httpx.Client]
) -> None:
    bob = browser_of("bob")
    answers = [
        bob.get(f"/ui/models/{model}"),
        bob.delete(f"/ui/models/{model}"),
        bob.post(f"/ui/models/{model}/aliases", data={"alias": "mine"}),
        bob.post(f"/ui/models/{model}/evaluate", data={"dataset": "ds_1"}),
        bob.get("/ui/predict", params={"model": model}),
    ]
    assert [answer.status_code for answer in answers] == [404] * len(answers)
    assert _audited(service) == []


def test_a_page_of_another_site_cannot_act(model: str, browser: httpx.Client) -> None:
    del browser.headers["X-CSRF-Token"]
    assert browser.delete(f"/ui/models/{model}").status_code == 403
    assert browser.get(f"/models/{model}").status_code == 200
