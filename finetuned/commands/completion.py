"""What the shell offers for an argument. A service that is not there at once offers nothing, and says nothing."""

from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Final

import typer

from finetuned.client import ApiError, Client

_SECONDS: Final = 2.0
_MOST: Final = 50
_STRATEGIES: Final = ("auto", "freeze", "full", "gradual", "lora")


def _client() -> Client:
    return Client(timeout=_SECONDS, patience=0)


def _datasets(incomplete: str) -> list[tuple[str, str]]:
    with _client() as client:
        return _offered(((one.id, f"{one.name}, {one.status}") for one in client.datasets()), incomplete)


def _jobs(incomplete: str) -> list[tuple[str, str]]:
    with _client() as client:
        return _offered(((one.id, f"{one.name}, {one.status}") for one in client.jobs()), incomplete)


def _checkpoints(incomplete: str) -> list[tuple[str, str]]:
    with _client() as client:
        return _offered(((one.id, one.name) for one in client.checkpoints()), incomplete)


def _keys(incomplete: str) -> list[tuple[str, str]]:
    with _client() as client:
        found = client.keys()
        return _offered(((one.id, f"{one.owner}, {one.role}") for one in found), incomplete)


def _models(incomplete: str) -> list[tuple[str, str]]:
    with _client() as client:
        return _offered(_model_names(client), incomplete)


def _model_names(client: Client) -> Iterator[tuple[str, str]]:
    for model in client.models():
        for alias in model.aliases:
            yield f"{model.name}@{alias}", f"version {model.version}"
        yield model.id, f"{model.name}, version {model.version}"


def _backbones(incomplete: str) -> list[tuple[str, str]]:
    with _client() as client:
        found = client.backbones(search=incomplete or None, available=None if incomplete else True)
        return _offered(((one.backbone, ", ".join(one.available)) for one in found), incomplete)


def _strategies(incomplete: str) -> list[str]:
    return [name for name in _STRATEGIES if name.startswith(incomplete)]


def _offered(found: Iterator[tuple[str, str]], incomplete: str) -> list[tuple[str, str]]:
    try:
        return list(islice((one for one in found if one[0].startswith(incomplete)), _MOST))
    except ApiError:
        return []


DatasetId = Annotated[str, typer.Argument(help="A data set's id.", autocompletion=_datasets)]
JobId = Annotated[str, typer.Argument(help="A job's id.", autocompletion=_jobs)]
ModelRef = Annotated[str, typer.Argument(help="A model's id, or name@alias.", autocompletion=_models)]
CheckpointId = Annotated[str, typer.Argument(help="A checkpoint's id.", autocompletion=_checkpoints)]
KeyId = Annotated[str, typer.Argument(help="A key's id.", autocompletion=_keys)]
BackboneName = Annotated[str, typer.Argument(help="Such as timm/resnet50 or hf/ORG/NAME.", autocompletion=_backbones)]
BackboneOption = Annotated[
    str, typer.Option(help="Such as torchvision/resnet50 or hf/ORG/NAME.", autocompletion=_backbones)
]
StrategyOption = Annotated[
    str | None, typer.Option(help="auto, freeze, full, gradual, or lora (texts).", autocompletion=_strategies)
]
