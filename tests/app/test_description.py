"""The document tells the headers of answers, and the running service sends them."""

import re
from typing import Any

import httpx
import pytest

from app.main import create_app
from app.settings import AppSettings
from tests.app.service import Running, upload_texts

Json = dict[str, Any]


@pytest.fixture
def description(settings: AppSettings) -> Json:
    return create_app(settings).openapi()


def _responses(description: Json) -> list[tuple[str, str, Json]]:
    return [
        (f"{method.upper()} {path}", status, response)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
        for status, response in operation["responses"].items()
    ]


def test_every_answer_has_a_request_id_and_every_header_is_described(description: Json) -> None:
    described = description["components"]["headers"]
    for name, status, response in _responses(description):
        assert "X-Request-ID" in response["headers"], (name, status)
        for header, reference in response["headers"].items():
            assert reference == {"$ref": f"#/components/headers/{header}"}
            assert header in described


def test_no_text_in_an_address_is_said_to_hold_a_nul_which_the_guard_refuses(description: Json) -> None:
    for path, methods in description["paths"].items():
        for operation in methods.values():
            for parameter in operation.get("parameters", ()):
                if parameter["in"] in {"path", "query"}:
                    for schema in (parameter["schema"], *parameter["schema"].get("anyOf", ())):
                        assert schema.get("type") != "string" or not _allows_nul(schema), (path, parameter["name"])


def _allows_nul(schema: Json) -> bool:
    return "enum" not in schema and re.search(schema.get("pattern", ""), "a\0b") is not None


def test_refusals_that_ask_to_wait_say_for_how_long(description: Json) -> None:
    for name, status, response in _responses(description):
        if status in {"429", "503"} and "application/problem+json" in response["content"]:
            assert "Retry-After" in response["headers"], (name, status)
        if status == "401":
            assert "WWW-Authenticate" in response["headers"], name


def test_an_operation_is_called_as_its_function(description: Json) -> None:
    names = [one["operationId"] for methods in description["paths"].values() for one in methods.values()]
    assert {"create_job", "read_job", "predict", "list_audit"} <= set(names)
    assert len(names) == len(set(names))


def test_the_document_is_made_once(settings: AppSettings) -> None:
    app = create_app(settings)
    assert app.openapi() is app.openapi()


def test_what_was_made_has_an_address(service: Running, client: httpx.Client) -> None:
    answer = client.post("/datasets", files={"file": ("a.csv", b"text,label\n")}, headers={"Prefer": "wait=0"})
    assert answer.headers["location"] == f"/datasets/{answer.json()['id']}"
    waited = client.get(answer.headers["location"], headers={"Prefer": "wait=1"})
    assert waited.headers["preference-applied"] == "wait=1"
    del service


def test_a_form_tells_its_file_and_its_name(description: Json) -> None:
    form = description["paths"]["/datasets"]["post"]["requestBody"]["content"]["multipart/form-data"]
    assert form["schema"]["required"] == ["file"]
    assert form["schema"]["additionalProperties"] is False
    assert form["schema"]["properties"]["file"]["format"] == "binary"
    assert "text/csv" in form["encoding"]["file"]["contentType"]
    assert 'filename="films.csv"' in form["encoding"]["file"]["headers"]["Content-Disposition"]["example"]
    assert {"type": "null"} not in form["schema"]["properties"]["name"].get("anyOf", [])


def test_an_upload_without_the_other_fields_is_what_the_form_allows(service: Running, client: httpx.Client) -> None:
    del service
    assert upload_texts(client).startswith("ds_")
