"""Ways to go on from an answer lead somewhere, by what that answer really holds."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from app.links import LINKS
from app.main import create_app
from app.settings import AppSettings

Json = dict[str, Any]


@pytest.fixture
def description(settings: AppSettings) -> Json:
    return create_app(settings).openapi()


def _operations(description: Json) -> dict[str, Json]:
    return {one["operationId"]: one for methods in description["paths"].values() for one in methods.values()}


def _links(description: Json) -> Iterator[tuple[Json, str, Json]]:
    """Every link: its operation, its answer's status, itself."""
    for operation in _operations(description).values():
        for status, response in operation["responses"].items():
            for link in response.get("links", {}).values():
                yield operation, status, link


def _holds(description: Json, schema: Json, pointer: list[str]) -> bool:
    """Whether what this schema describes has such a place."""
    if "$ref" in schema:
        return _holds(description, description["components"]["schemas"][schema["$ref"].rpartition("/")[2]], pointer)
    if not pointer:
        return True
    name, *rest = pointer
    inner = schema.get("items") if name.isdigit() else schema.get("properties", {}).get(name)
    return inner is not None and _holds(description, inner, rest)


def test_every_link_of_the_table_is_in_the_document(description: Json) -> None:
    told = [(operation["operationId"], status) for operation, status, _ in _links(description)]
    assert set(told) == set(LINKS)
    assert len(told) == sum(len(links) for links in LINKS.values()) > 50


def test_a_link_leads_to_an_operation_that_takes_what_it_gives(description: Json) -> None:
    operations = _operations(description)
    for operation, status, link in _links(description):
        target = operations[link["operationId"]]
        taken = {parameter["name"] for parameter in target.get("parameters", ())}
        assert set(link.get("parameters", {})) <= taken, (operation["operationId"], status, link)
        assert "requestBody" not in link or "requestBody" in target


def test_a_link_reads_what_the_answer_holds_or_the_request_held(description: Json) -> None:
    for operation, status, link in _links(description):
        expressions = [*link.get("parameters", {}).values(), *link.get("requestBody", {}).values()]
        for expression in expressions:
            kind, _, place = expression.partition("#/")
            if kind == "$response.body":
                (content,) = [one for one in operation["responses"][status]["content"].values() if "schema" in one]
                assert _holds(description, content["schema"], place.split("/")), (operation["operationId"], expression)
                continue
            found = re.fullmatch(r"\$request\.path\.(\w+)", expression)
            assert found, expression
            assert found[1] in {one["name"] for one in operation["parameters"] if one["in"] == "path"}
