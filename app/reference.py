"""``python -m app.reference > docs/api.md``: the reference of the HTTP interface, from its own OpenAPI document."""

import json
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from app.main import create_app
from app.settings import AppSettings

Json = Mapping[str, Any]
_METHODS: Final = ("get", "post", "put", "patch", "delete")
_PREFIX: Final = "#/components/schemas/"
_HEAD: Final = """# HTTP reference

Made by `python -m app.reference` from the service's own description, which it serves at `/openapi.json`, and at `/docs`
as a page to try it on; a test holds this file to it. Every request but those marked "no key" carries
`Authorization: Bearer KEY`. Every error is a [`Problem`](#problem), in `application/problem+json`; what the codes mean
and what to do is in [errors.md](errors.md).
"""


def reference(description: Json) -> str:
    """The page: every route by its tag, then every schema that they name."""
    paths: Json = description["paths"]
    operations = [
        (path, method, shared[method]) for path, shared in paths.items() for method in _METHODS if method in shared
    ]
    tags = dict.fromkeys(tag for *_, operation in operations for tag in operation["tags"])
    parts = [_HEAD]
    for tag in tags:
        mine = [entry for entry in operations if entry[2]["tags"][0] == tag]
        parts += [f"## {tag.capitalize()}\n", *(_operation(*entry) for entry in mine)]
    schemas: Json = description["components"]["schemas"]
    parts += [
        "## Schemas\n",
        *(_schema(name, schemas[name]) for name in sorted(schemas) if not name.startswith("Page_")),
    ]
    return "\n".join(parts)


def _operation(path: str, method: str, operation: Json) -> str:
    lines = [f"### `{method.upper()} {path}`\n", _plain(operation.get("description") or operation["summary"]), ""]
    if not operation.get("security"):
        lines += ["No key.", ""]
    lines += _parameters(operation.get("parameters", []))
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        schema = content.get("schema", {})
        lines += [f"Body `{kind}`: {_type(schema)}", "", *_fields(schema)]
    answers = [f"{status} {_answer(answer)}".strip() for status, answer in sorted(operation["responses"].items())]
    return "\n".join([*lines, f"Answers: {'; '.join(answers)}.", ""])


def _parameters(parameters: Iterable[Json]) -> list[str]:
    rows = [
        f"| `{one['name']}` | {one['in']} | {_type(one['schema'])} | {_about(one['schema'], one)} |"
        for one in parameters
    ]
    return ["| parameter | in | type | meaning |", "| --- | --- | --- | --- |", *rows, ""] if rows else []


def _answer(answer: Json) -> str:
    kinds = [_type(content["schema"]) for content in answer.get("content", {}).values() if content.get("schema")]
    return "" if kinds == [_link("Problem")] else " or ".join(dict.fromkeys(kinds))


def _schema(name: str, schema: Json) -> str:
    return "\n".join([f"### {name}\n", _plain(schema.get("description", "")), "", *_fields(schema)])


def _fields(schema: Json) -> list[str]:
    required = schema.get("required", ())
    rows = [
        f"| `{name}` | {_type(field)} | {_default(field, needed=name in required)} | {_about(field)} |"
        for name, field in schema.get("properties", {}).items()
    ]
    return ["| field | type | default | meaning |", "| --- | --- | --- | --- |", *rows, ""] if rows else []


def _default(field: Json, *, needed: bool) -> str:
    if "default" in field:
        return f"`{json.dumps(field['default'])}`"
    return "required" if needed else ""


def _type(schema: Json) -> str:
    if "$ref" in schema:
        return _link(schema["$ref"].removeprefix(_PREFIX))
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        return " or ".join(dict.fromkeys(_type(one) for one in options))
    if "enum" in schema or "const" in schema:
        return " or ".join(f"`{json.dumps(value)}`" for value in schema.get("enum", [schema.get("const")]))
    match schema.get("type"):
        case "array":
            return f"list of {_type(schema.get('items', {}))}"
        case None:
            return "anything"
        case "string" if schema.get("format") == "binary":
            return "file"
        case kind:
            return str(kind)


def _link(name: str) -> str:
    """To a schema; a page of a list is named by what it lists."""
    listed = name.removeprefix("Page_").removesuffix("_")
    page = "page of " if listed != name else ""
    return f"{page}[{listed}](#{listed.lower()})"


def _about(schema: Json, outer: Json | None = None) -> str:
    said = (outer or {}).get("description") or schema.get("description", "")
    return " ".join(part for part in (_plain(said), ", ".join(_bounds(schema))) if part)


def _bounds(schema: Json) -> Iterator[str]:
    """The limits of a field, also where it may be null."""
    for one in (schema, *schema.get("anyOf", ())):
        for name, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<")):
            if name in one:
                yield f"{sign} {_number(one[name])}"
        for name, unit in (("maxLength", "characters"), ("maxItems", "items"), ("maxProperties", "entries")):
            if name in one:
                yield f"≤ {one[name]:,} {unit}"


def _number(value: float) -> str:
    return f"{int(value):,}" if float(value).is_integer() else f"{value:g}"


def _plain(text: str) -> str:
    """One line that breaks no table."""
    return " ".join(text.split()).replace("|", "\\|")


def current() -> str:
    """The page of this very code."""
    with tempfile.TemporaryDirectory() as folder:
        return reference(create_app(AppSettings(data_dir=Path(folder))).openapi())


if __name__ == "__main__":
    sys.stdout.write(current())
