"""Files to the service."""

from typing import Any

from finetuned.client.bodies import Data, Progress, Source, form, source_of
from finetuned.client.effects import Call, Do, Op
from finetuned.client.errors import Json
from finetuned.client.requests import given, new_key, read


def upload(
    route: str, source: Source, fields: Json, on_progress: Progress | None = None, key: str | None = None
) -> Op[Json]:
    """POST a file with form fields, a piece at a time; with an idempotency key it may be sent again."""
    headers = {"Idempotency-Key": key} if key else {}
    body = form(source, fields, on_progress)
    return read(Call("POST", route, headers=headers, body=body, repeatable=key is not None))


def opened(data: Data, name: str | None = None) -> Op[Source]:
    """Look at what is to be sent."""
    source: Source = yield Do(lambda: source_of(data, name))
    return source


def upload_dataset(
    data: Data, name: str | None, on_progress: Progress | None, key: str | None, **options: Any
) -> Op[Json]:
    """POST a data set; the answer comes when it is received, not when it is imported."""
    source = yield from opened(data, name)
    fields = {"name": name or source.stem, **given(**options)}
    return (yield from upload("/datasets", source, fields, on_progress, key or new_key()))
