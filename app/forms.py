"""How multipart bodies are described that :mod:`app.uploads` and the predictions read themselves."""

from typing import Any, Final

from pydantic import BaseModel

from app.settings import MAX_INPUTS

Json = dict[str, Any]
_SAID: Final = frozenset({"title", "description", "default", "examples"})
"""Of a field, whatever form its value has."""


def described(
    form: type[BaseModel], about: str, filename: str, media_types: str, *, many: bool = False, blanks: bool = False
) -> Json:
    """OpenAPI's media type object of a form: the field ``file``, and the fields of ``form`` beside it.

    Args:
        form: what validates the other fields.
        about: says what the file is.
        filename: an example of its name, which tells its kind.
        media_types: that it may have, separated by commas.
        many: whether there may be several files.
        blanks: whether a field that is not required may be empty, as browsers send what nobody filled in.
    """
    schema = form.model_json_schema()
    file: Json = {"type": "string", "format": "binary", "description": about}
    required = schema.get("required", ())
    fields = {name: _without_null(field) for name, field in schema["properties"].items()}
    if blanks:
        fields = {name: field if name in required else _or_blank(field) for name, field in fields.items()}
    return {
        "schema": {
            "type": "object",
            "required": ["file", *required],
            "additionalProperties": False,
            "properties": {
                "file": {"type": "array", "items": file, "minItems": 1, "maxItems": MAX_INPUTS} if many else file,
                **fields,
            },
        },
        "encoding": {"file": {"contentType": media_types, "headers": {"Content-Disposition": _disposition(filename)}}},
    }


def parameters(form: type[BaseModel], about: str) -> list[Json]:
    """OpenAPI's parameter objects for a form whose fields may stand in the address instead."""
    fields = form.model_json_schema()["properties"]
    return [
        {"name": name, "in": "query", "required": False, "schema": _without_null(field), "description": about}
        for name, field in fields.items()
    ]


def _without_null(field: Json) -> Json:
    """A form has no null: a field is left out instead."""
    if "anyOf" not in field:
        return field
    (given,) = [option for option in field["anyOf"] if option.get("type") != "null"]
    return {**{name: value for name, value in field.items() if name not in {"anyOf", "default"}}, **given}


def _or_blank(field: Json) -> Json:
    """An empty field counts as one that was left out."""
    said = {name: value for name, value in field.items() if name in _SAID}
    given = {name: value for name, value in field.items() if name not in _SAID}
    return {**said, "anyOf": [given, {"type": "string", "enum": [""]}]}


def _disposition(filename: str) -> Json:
    return {"schema": {"type": "string"}, "example": f'form-data; name="file"; filename="{filename}"'}
