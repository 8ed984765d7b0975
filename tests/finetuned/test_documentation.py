"""Holds docs/clients.md to the command line: every command, argument, option and exit code is there, and no other."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import typer

from finetuned.cli import cli
from finetuned.commands.exits import ExitCode

_PAGE: Final = (Path(__file__).parents[2] / "docs" / "clients.md").read_text("utf-8")
_REMOTE: Final = {"--url", "--key", "--json"}
_OWN: Final = {"up", "down", "api", "worker", "migrate"}


def _commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    if hasattr(command, "commands"):
        for name, below in command.commands.items():
            yield from _commands(below, f"{path} {name}")
    else:
        yield path, command


COMMANDS: Final = dict(_commands(typer.main.get_command(cli), "finetuned"))


def _options(command: Any) -> set[str]:
    options = [one for one in command.params if one.param_type_name == "option"]
    return {name for one in options for name in one.opts if name.startswith("--")} - {"--help"}


def _usage(path: str, command: Any) -> str:
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    names = [(one.metavar or one.name.upper(), one.required) for one in arguments]
    return " ".join([path, *(name if required else f"[{name}]" for name, required in names)])


def test_the_table_has_every_command_with_its_arguments_and_options_and_no_other() -> None:
    rows = re.findall(r"^\| `(finetuned [^`]+)` \| ([^|]*) \|", _PAGE, re.MULTILINE)
    documented = {usage: set(re.findall(r"`(--[a-z-]+)`", options)) for usage, options in rows}

    assert documented == {_usage(path, command): _options(command) - _REMOTE for path, command in COMMANDS.items()}


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_that_talks_to_a_service_says_where_and_has_json(path: str) -> None:
    expected = set() if path.split()[-1] in _OWN else _REMOTE

    assert _options(COMMANDS[path]) & _REMOTE == expected


def test_every_option_that_the_page_names_is_there() -> None:
    there = {"--help", "--install-completion", "--show-completion"}.union(*map(_options, COMMANDS.values()))
    page = _PAGE[: _PAGE.index("## curl")]

    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page)) <= there


def test_the_table_has_every_exit_code_and_no_other() -> None:
    rows = re.findall(r"^\| (\d+) \| (\w+) \|", _PAGE, re.MULTILINE)

    assert {(int(code), name) for code, name in rows} == {(code.value, code.name.lower()) for code in ExitCode}
