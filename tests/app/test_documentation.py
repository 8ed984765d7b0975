import re
from typing import Any

import httpx
import pytest

from app.guard import OPEN_PATHS
from app.main import create_app
from app.settings import AppSettings


@pytest.fixture
def description(settings: AppSettings) -> dict[str, Any]:
    return create_app(settings).openapi()


def _operations(description: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method.upper()} {path}", operation)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]


def test_the_docs_need_no_other_host(client: httpx.Client) -> None:
    page = client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "://" not in page.text
    assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(assets) == 4
    for asset in assets:
        assert client.get(f"/{asset}").status_code == 200, asset
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    assert client.get("/docs/../app").status_code == 404


def test_only_the_files_of_the_docs_are_served(client: httpx.Client) -> None:
    assert client.get("/docs/index.html").status_code == 404
    assert client.get("/docs/..%2f__init__.py").status_code == 404


def test_every_reference_in_the_description_leads_somewhere(description: dict[str, Any]) -> None:
    references = set(re.findall(r"'\$ref': '#/components/schemas/([^']+)'", str(description)))
    assert "Problem" in references
    assert references <= set(description["components"]["schemas"])
    assert "HTTPValidationError" not in str(description), "errors have one form"


def test_every_route_that_needs_a_key_says_so_and_documents_its_errors(description: dict[str, Any]) -> None:
    for name, operation in _operations(description):
        if name.partition(" ")[2] in OPEN_PATHS:
            continue
        assert operation["security"] == [{"HTTPBearer": []}], name
        assert {"401", "422", "500", "503"} <= set(operation["responses"]), name
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert list(response["content"]) == ["application/problem+json"], (name, status)


def test_every_route_is_described_in_words(description: dict[str, Any]) -> None:
    for name, operation in _operations(description):
        assert operation["description"].endswith("."), name


def test_the_bodies_that_are_read_by_hand_are_described(description: dict[str, Any]) -> None:
    paths = description["paths"]
    upload = paths["/datasets"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert set(upload["properties"]) == {"file", "name", "task", "validation_fraction", "seed", "split"}
    predict = paths["/predict"]["post"]["requestBody"]["content"]
    assert set(predict) == {"application/json", "multipart/form-data", "image/*"}
