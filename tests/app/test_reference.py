"""docs/api.md is what this very code says of itself."""

from pathlib import Path
from typing import Final

from app.reference import current, reference

_PAGE: Final = Path(__file__).parents[2] / "docs" / "api.md"


def test_the_page_is_that_of_this_code() -> None:
    assert _PAGE.read_text("utf-8") == current(), "make it anew: python -m app.reference > docs/api.md"


def test_what_would_break_a_table_is_escaped_and_bounds_are_told() -> None:
    number = {"type": "integer", "minimum": 1, "maximum": 65536, "description": "one | two\nlines"}
    operation = {
        "tags": ["things"],
        "summary": "Things.",
        "parameters": [{"name": "n", "in": "query", "schema": {"anyOf": [number, {"type": "null"}]}}],
        "responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}}},
    }
    thing = {"description": "A thing.", "required": ["n"], "properties": {"n": number}}
    page = reference({"paths": {"/things": {"get": operation}}, "components": {"schemas": {"Thing": thing}}})
    assert "| `n` | query | integer or null | ≥ 1, ≤ 65,536 |" in page
    assert "| `n` | integer | required | one \\| two lines ≥ 1, ≤ 65,536 |" in page
    assert "Answers: 200 [Thing](#thing)." in page
    assert "No key." in page
