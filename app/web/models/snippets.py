"""Lines to copy that ask a model, with this service's own address and a placeholder for the key."""

import json
import shlex
from dataclasses import dataclass

from app.models.schemas import Model
from app.web.models.showing import TEXT

_SENTENCE = "a film that stays with you"


@dataclass(frozen=True)
class Snippets:
    """The same request in several ways."""

    curl: str
    python: str
    command: str


def of(model: Model, url: str) -> Snippets:
    """Of a model of the service at ``url``; an alias stands for the model where it has one, so that they stay true."""
    ref = f"{model.name}@{model.aliases[0]}" if model.aliases else model.id
    text = model.task == TEXT
    return Snippets(_curl(ref, url, text=text), _python(ref, url, text=text), _command(ref, url, text=text))


def _curl(ref: str, url: str, *, text: bool) -> str:
    head = f'curl -sS {shlex.quote(f"{url}/predict")} -H "Authorization: Bearer $FINETUNED_API_KEY" \\\n'
    if text:
        body = json.dumps({"model": ref, "inputs": [_SENTENCE]}, ensure_ascii=False)
        return f"{head}  -H 'Content-Type: application/json' \\\n  -d {shlex.quote(body)}"
    return f"{head}  -F {shlex.quote(f'model={ref}')} -F file=@picture.jpg"


def _python(ref: str, url: str, *, text: bool) -> str:
    given = repr(_SENTENCE) if text else 'Path("picture.jpg")'
    path = "" if text else "from pathlib import Path\n\n"
    return (
        f"{path}from finetuned import Client\n\n"
        f'with Client({url!r}, key="YOUR_KEY") as client:\n'
        f"    (prediction,) = client.predict({ref!r}, [{given}])\n"
        '    print(prediction["label"], prediction["score"])'
    )


def _command(ref: str, url: str, *, text: bool) -> str:
    given = shlex.quote(_SENTENCE) if text else "picture.jpg"
    environment = f"FINETUNED_URL={shlex.quote(url)} FINETUNED_API_KEY=YOUR_KEY"
    return f"{environment} \\\n  finetuned predict {shlex.quote(ref)} {given}"
