"""Snippets do what they say when they are pasted, whatever a model is called."""

import ast
import json
import shlex

import pytest

from app.models.schemas import Model
from app.web.models import snippets

_NAMES = ["insects", "it's $HOME", 'a "b" `c`', "영화평 1"]


def _model(name: str, task: str, aliases: list[str]) -> Model:
    return Model.model_validate(
        {
            "id": "mdl_1",
            "name": name,
            "version": 1,
            "aliases": aliases,
            "task": task,
            "job": "job_1",
            "dataset": "ds_1",
            "backbone": "b",
            "labels": [],
            "preprocessing": {},
            "metrics": {},
            "bytes": 1,
            "created_at": "2025-01-31T12:00:00.000Z",
        }
    )


def _arguments(command: str) -> list[str]:
    return shlex.split(command.replace("\\\n", " "))


@pytest.mark.parametrize("name", _NAMES)
def test_curl_asks_for_the_alias_with_a_text(name: str) -> None:
    told = snippets.of(_model(name, "text-classification", ["production"]), "http://service:8000")
    arguments = _arguments(told.curl)
    assert arguments[:3] == ["curl", "-sS", "http://service:8000/predict"]
    assert json.loads(arguments[arguments.index("-d") + 1])["model"] == f"{name}@production"


@pytest.mark.parametrize("name", _NAMES)
def test_curl_sends_a_picture_to_a_model_without_alias_by_its_id(name: str) -> None:
    told = snippets.of(_model(name, "image-classification", []), "http://service:8000")
    assert _arguments(told.curl)[-4:] == ["-F", "model=mdl_1", "-F", "file=@picture.jpg"]


@pytest.mark.parametrize("task", ["text-classification", "image-classification"])
@pytest.mark.parametrize("name", _NAMES)
def test_python_is_a_program_that_names_the_model(name: str, task: str) -> None:
    told = snippets.of(_model(name, task, ["production"]), "http://service:8000")
    literals = {node.value for node in ast.walk(ast.parse(told.python)) if isinstance(node, ast.Constant)}
    assert {"http://service:8000", f"{name}@production", "YOUR_KEY"} <= literals


@pytest.mark.parametrize("name", _NAMES)
def test_the_command_names_the_model(name: str) -> None:
    told = snippets.of(_model(name, "text-classification", ["production"]), "http://service:8000")
    assert _arguments(told.command)[2:5] == ["finetuned", "predict", f"{name}@production"]
