"""The files of a download."""

import json
from collections.abc import Iterator
from typing import Any, Final

from models_store.exchange.archive import Member
from models_store.exchange.config import config_json
from models_store.exchange.model_card import model_card
from models_store.exchange.source import Source
from models_store.exchange.tensors import as_safetensors, safetensors_size
from models_store.preprocessing.text import FOLDER

MODEL_CARD: Final = "README.md"


def members(source: Source) -> list[Member]:
    """Every file, the small ones first."""
    return [
        Member.of(MODEL_CARD, model_card(source).encode()),
        _json("config.json", config_json(source)),
        _json("preprocessing.json", dict(source.card["preprocessing"])),
        *([_json("report.json", dict(source.report))] if source.report is not None else []),
        *_processor(source),
        Member("model.safetensors", safetensors_size(source.tensors), lambda: as_safetensors(source.tensors)),
    ]


def _processor(source: Source) -> Iterator[Member]:
    """What ``AutoTokenizer`` or ``AutoImageProcessor`` reads."""
    for name in source.card["preprocessing"].get("files", ()):
        yield Member.of(name, (source.directory / FOLDER / name).read_bytes())
    processor = source.architecture.config.get("processor")
    if processor is not None:
        yield _json("preprocessor_config.json", processor)


def _json(name: str, content: Any) -> Member:
    return Member.of(name, json.dumps(content, indent=2, ensure_ascii=False).encode())
