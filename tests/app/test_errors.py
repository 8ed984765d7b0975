import httpx
import pytest

from app.errors import STATUS
from models_store.errors import Kind
from tests.app.service import assert_problem


def test_every_kind_of_error_has_a_status() -> None:
    assert set(STATUS) == set(Kind)


def test_an_unknown_address_is_a_problem(client: httpx.Client) -> None:
    assert_problem(client.get("/nope"), 404, "not_found")


def test_a_wrong_method_is_a_problem_that_names_the_right_ones(client: httpx.Client) -> None:
    answer = client.put("/jobs")
    assert_problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, POST"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"dataset": ', "malformed_json"),
        (b"[" * 100_000, "malformed_body"),
        (b'{"a":' * 50_000, "malformed_body"),
        (b'{"dataset": "\xff"}', "malformed_body"),
        (b'{"dataset": ' + b"9" * 5000 + b"}", "malformed_body"),
    ],
)
@pytest.mark.parametrize("path", ["/jobs", "/keys"])
def test_what_is_no_json_is_told_so(client: httpx.Client, path: str, body: bytes, code: str) -> None:
    answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert_problem(answer, 400, code)


def test_validation_lists_every_wrong_field(client: httpx.Client) -> None:
    body = {"dataset": "ds_1", "training": {"max_epochs": 10**9, "head_lr": -1}, "owner": 1, "status": "succeeded"}
    content = assert_problem(client.post("/jobs", json=body), 422, "validation_error")
    found = {tuple(error["loc"]) for error in content["errors"]}
    wrong = {"backbone", "owner", "status"}
    assert found == {("body", name) for name in wrong} | {
        ("body", "training", "max_epochs"),
        ("body", "training", "head_lr"),
    }
    assert all(set(error) == {"loc", "msg"} for error in content["errors"])


def test_names_that_utf8_cannot_carry_do_not_break_the_answer(client: httpx.Client) -> None:
    body = b'{"dataset": "ds_1", "backbone": "timm/x\\ud800", "\\ud800": 1}'
    answer = client.post("/jobs", content=body, headers={"Content-Type": "application/json"})
    assert_problem(answer, 422, "validation_error")


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "colour=red"])
@pytest.mark.parametrize("path", ["/jobs", "/datasets", "/models", "/keys", "/weights", "/workers"])
def test_a_wrong_query_is_refused(client: httpx.Client, path: str, query: str) -> None:
    assert_problem(client.get(f"{path}?{query}"), 422, "validation_error")
