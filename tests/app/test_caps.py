"""Everything that a client can send has an upper bound, which the description of the service tells."""

import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
from pydantic import SecretStr

from app.main import create_app
from app.settings import AppSettings

_NUMBERS: Final = {"integer", "number"}
_BOUNDS_A_NUMBER: Final = {"maximum", "exclusiveMaximum"}
_BOUNDS_A_TEXT: Final = {"maxLength", "enum", "const", "format"}
_METHODS: Final = {"get", "put", "post", "delete", "head", "patch"}
_IGNORED: Final = re.compile(r"post /(v2|hf)/.* \.(parameters|options|data)\b")
"""Where protocols of others let clients add what nobody reads, or nest a tensor: the body as a whole is bounded, and so
is the number of its values (see :mod:`app.predictions.bodies`)."""
Schema = dict[str, Any]


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> Schema:
    """What ``GET /openapi.json`` answers with."""
    settings = AppSettings(data_dir=tmp_path_factory.mktemp("data"), api_key=SecretStr("k"))
    described: Schema = create_app(settings).openapi()
    return described


def _sent(description: Schema) -> Iterator[tuple[str, Schema]]:
    """Where a client sends something, and the schema of it: parameters and bodies of every operation."""
    for path, operations in description["paths"].items():
        for method in _METHODS & operations.keys():
            here = f"{method} {path}"
            for parameter in operations[method].get("parameters", []):
                yield f"{here} {parameter['in']} {parameter['name']}", parameter["schema"]
            for kind, body in operations[method].get("requestBody", {}).get("content", {}).items():
                yield f"{here} {kind}", body["schema"]


def _unbounded(description: Schema, where: str, schema: Schema) -> Iterator[str]:
    """The places below a schema that have no upper bound."""
    if "$ref" in schema:
        yield from _unbounded(description, where, _component(description, schema["$ref"]))
        return
    for choice in ("anyOf", "oneOf", "allOf"):
        for number, one in enumerate(schema.get(choice, [])):
            yield from _unbounded(description, f"{where} ({number})", one)
    kind = schema.get("type")
    if kind is None and not schema.keys() & {"anyOf", "oneOf", "allOf", "enum", "const"}:
        yield f"{where}: anything"
    if kind in _NUMBERS and not schema.keys() & (_BOUNDS_A_NUMBER | {"enum", "const"}):
        yield f"{where}: number"
    if kind == "string" and not schema.keys() & _BOUNDS_A_TEXT:
        yield f"{where}: text"
    if kind == "array":
        yield from [] if "maxItems" in schema else [f"{where}: list"]
        yield from _unbounded(description, f"{where}[]", schema.get("items", {}))
    if kind == "object":
        yield from _unbounded_object(description, where, schema)


def _unbounded_object(description: Schema, where: str, schema: Schema) -> Iterator[str]:
    for name, field in schema.get("properties", {}).items():
        yield from _unbounded(description, f"{where} .{name}", field)
    more = schema.get("additionalProperties", True)
    if more is not False:
        yield from [] if "maxProperties" in schema else [f"{where}: names"]
        yield from _unbounded(description, f"{where} .*", more if isinstance(more, dict) else {})
        yield from _unbounded(description, f"{where} names", {"type": "string", **schema.get("propertyNames", {})})


def _component(description: Schema, reference: str) -> Schema:
    found = description
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def test_every_number_text_and_list_that_a_client_can_send_has_an_upper_bound(description: Schema) -> None:
    places = list(_sent(description))
    assert len(places) > 50
    found = [open_ for where, schema in places for open_ in _unbounded(description, where, schema)]
    assert [open_ for open_ in found if not _IGNORED.search(open_)] == []


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "minimum": 0},
        {"type": "string"},
        {"type": "string", "pattern": "a+"},
        {"type": "array", "items": {"type": "string", "maxLength": 1}},
        {"type": "array", "items": {"type": "string"}, "maxItems": 2},
        {"type": "object", "additionalProperties": False, "properties": {"a": {"type": "number"}}},
        {"type": "object", "maxProperties": 2},
        {"anyOf": [{"type": "null"}, {"type": "string"}]},
        {},
    ],
)
def test_what_has_no_upper_bound_is_found(schema: Schema) -> None:
    assert len(list(_unbounded({}, "here", schema))) >= 1
