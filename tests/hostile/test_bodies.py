"""JSON that asks for what is not its sender's to decide, for more than there is, or that is hard to read."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from app.settings import AppSettings
from tests.app.service import ADMIN_KEY, running
from tests.e2e.service import Service
from tests.hostile.belongings import BACKBONE, Belongings
from tests.hostile.conftest import memory
from tests.hostile.tenant import Tenant

_JSON = {"Content-Type": "application/json"}


def _job(anns: Belongings, **more: Any) -> dict[str, Any]:
    return {"dataset": anns.dataset, "backbone": BACKBONE, "weights": None, **more}


def _problem(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize(
    "more",
    [
        {"status": "succeeded"},
        {"state": "succeeded"},
        {"owner": 1},
        {"owner": "bob"},
        {"id": "job_mine"},
        {"fence": 99},
        {"result": {"model": "mdl_x"}},
        {"__class__": "Caller"},
        {"__proto__": {"role": "admin"}},
        {"training": {"max_epochs": 1, "lease_until": 1e12}},
        {"training": {"early_stopping": {"monitor": "val_loss", "callback": "os.system"}}},
        {"training": {"lora": {"r": 1, "target": "x"}}},
        {"preprocessing": {"trust_remote_code": True}},
        {"metadata": {"team": {"role": "admin"}}},
    ],
)
def test_fields_that_are_not_the_senders_to_set_are_refused(
    more: dict[str, Any], anns: Belongings, ann: Tenant
) -> None:
    assert _problem(ann.client.post("/jobs", json=_job(anns, **more))) == (422, "validation_error")


@pytest.mark.parametrize("more", [{"status": "ready"}, {"owner": "bob"}, {"id": "ds_x"}, {"fingerprint": "sha256:0"}])
def test_a_forms_fields_too(more: dict[str, str], ann: Tenant) -> None:
    upload = {"file": ("a.csv", b"text,label\na,b\n")}
    assert _problem(ann.client.post("/datasets", files=upload, data=more)) == (422, "validation_error")


def test_nobody_makes_a_key_of_a_chosen_value(service: Service) -> None:
    for more in ({"key": "ft_known"}, {"sha256": "0" * 64}, {"role": "root"}, {"id": "key_x"}):
        answer = service.client.post("/keys", json={"owner": "eve", "role": "user", **more})
        assert _problem(answer) == (422, "validation_error")


@pytest.mark.parametrize(
    "training",
    [
        '{"max_epochs": 1e9}',
        '{"max_epochs": 1e400}',
        '{"max_epochs": -1}',
        '{"max_epochs": ' + "9" * 4000 + "}",
        '{"batch_size": 1000000000}',
        '{"devices": 100000}',
        '{"head_lr": NaN}',
        '{"head_lr": Infinity}',
        '{"backbone_lr": -Infinity}',
        '{"weight_decay": 1e308}',
        '{"gradient_clip_val": 1e400}',
        '{"layer_decay": NaN}',
        '{"seed": 18446744073709551616}',
        '{"lora": {"r": 1000000}}',
        '{"early_stopping": {"patience": 1e30}}',
        '{"max_epochs": [1]}',
        '{"max_epochs": {"$gt": 0}}',
    ],
)
def test_numbers_have_their_caps(training: str, anns: Belongings, ann: Tenant) -> None:
    body = json.dumps(_job(anns))[:-1] + f', "training": {training}}}'
    answer = ann.client.post("/jobs", content=body, headers=_JSON)
    assert _problem(answer) in {(422, "validation_error"), (400, "malformed_json")}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("[" * 100_000 + "]" * 100_000, id="arrays"),
        pytest.param('{"a":' * 40_000 + "1" + "}" * 40_000, id="objects"),
        pytest.param('{"metadata": ' + '{"a":' * 40_000 + "1" + "}" * 40_001, id="below a known field"),
        pytest.param("[" * 250_000, id="never closed"),
        pytest.param('{"inputs": ' + "[" * 100_000 + "]" * 100_000 + ', "model": "x"}', id="inputs"),
        pytest.param("9" * 250_000, id="a very long number"),
        pytest.param("{" + ",".join(f'"a{n}": 1' for n in range(20_000)) + "}", id="many fields"),
        pytest.param('{"a": 1' + ', "a": 1' * 25_000 + "}", id="one field many times"),
        pytest.param('{"dataset": "\\ud800", "backbone": "x"}', id="lone surrogate"),
        pytest.param('{"dataset": "\\u0000", "backbone": "x"}', id="NUL"),
        pytest.param('\ufeff{"dataset": "a", "backbone": "b"}', id="byte order mark"),
        pytest.param("\0", id="zero byte"),
        pytest.param("", id="nothing"),
        pytest.param("null", id="null"),
        pytest.param('"' + "\\u0041" * 40_000 + '"', id="escapes"),
    ],
)
@pytest.mark.parametrize("path", ["/jobs", "/predict"])
def test_json_that_is_hard_to_read_is_refused_and_nothing_else(path: str, body: str, ann: Tenant) -> None:
    answer = ann.client.post(path, content=body.encode(), headers=_JSON)
    assert answer.status_code in {400, 404, 422}, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.content) < 100_000


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-7", "latin-1"])
def test_json_in_another_encoding_is_not_guessed_into_something_else(encoding: str, ann: Tenant) -> None:
    body = '{"dataset": "ds_é", "backbone": "x"}'.encode(encoding, "replace")
    answer = ann.client.post("/jobs", content=body, headers={"Content-Type": f"application/json; charset={encoding}"})
    assert answer.status_code in {400, 404, 422}


def test_of_a_field_that_comes_twice_one_value_counts_for_check_and_use(anns: Belongings, ann: Tenant) -> None:
    """Two parsers that differ on this are how checks are passed; here one parser does both."""
    body = json.dumps(_job(anns))[:-1] + ', "training": {"max_epochs": 1, "max_epochs": 1000000}}'
    assert ann.client.post("/jobs", content=body, headers=_JSON).status_code == 422


def test_a_body_of_another_kind_is_no_json(anns: Belongings, ann: Tenant) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = ann.client.post("/jobs", content=json.dumps(_job(anns)), headers={"Content-Type": kind})
        assert answer.status_code in {415, 422}, kind


def test_a_thousand_posts_of_one_user_fill_its_own_quota_alone(tmp_path: Path) -> None:
    """No worker: everything waits, and counts."""
    settings = AppSettings(
        data_dir=tmp_path / "data",
        redis_url=f"redis+socket://{tmp_path}/none.sock",
        api_key=SecretStr(ADMIN_KEY),
        max_active_jobs=20,
        max_starts_per_minute=0,
    )
    upload = {"file": ("a.csv", b"text,label\n")}
    with running(settings) as api, api.user("mallory") as mallory, api.user("ann") as ann:
        dataset = mallory.post("/datasets", files=upload).json()["id"]
        job = {"dataset": dataset, "backbone": "hf/tests/none"}
        answers = [mallory.post("/jobs", json=job) for _ in range(950)]
        answers += [mallory.post("/datasets", files=upload) for _ in range(50)]
        refused = [answer for answer in answers if answer.status_code != 202]
        assert len(answers) - len(refused) == 19
        assert {(answer.status_code, answer.json()["code"]) for answer in refused} == {(429, "too_many_jobs")}
        assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
        assert ann.post("/datasets", files=upload).status_code == 202


def test_a_million_unknown_fields_do_not_hold_up_the_service(ann: Tenant) -> None:
    body = '{"model": "x", "inputs": "x", "parameters": {' + ",".join(f'"{n}":0' for n in range(150_000)) + "}}"
    assert _problem(ann.client.post("/predict", content=body, headers=_JSON)) == (413, "too_many_inputs")


@pytest.mark.parametrize("one", ['""', "[]", "{}", "1"])
def test_a_body_that_would_become_millions_of_objects_becomes_none(
    one: str, anns: Belongings, ann: Tenant, service: Service
) -> None:
    body = f'{{"model": "{anns.model}", "inputs": [' + f"{one}," * 600_000 + f"{one}]}}"
    before = memory(service)
    answer = ann.client.post("/predict", content=body, headers=_JSON)
    assert _problem(answer) == (413, "too_many_inputs")
    assert memory(service) - before < 20 * 2**20
