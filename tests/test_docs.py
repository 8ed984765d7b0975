"""Holds docs/errors.md and docs/settings.md to the source: what can be met is documented, and nothing else is."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from pydantic import SecretStr

from app.settings import AppSettings
from models_store.settings import StoreSettings
from worker.settings import WorkerSettings

_ROOT: Final = Path(__file__).parent.parent
_SOURCES: Final = [
    file for room in ("app", "finetuned", "models_store", "worker") for file in (_ROOT / room).rglob("*.py")
]
_CODE: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_ROW: Final = re.compile(r"^\| `([^`]+)` \| ([^|]+) \|", re.MULTILINE)
_GIVES_A_CODE: Final = re.compile(r"\w*Error|problem|_failure|problems\.add|super\(\)\.__init__")
_HOLDS_CODES: Final = re.compile(r"code|codes|_\w*CODES")
_SETTING: Final = re.compile(r"FINETUNED_[A-Z_]*[A-Z]")


def _strings(node: ast.AST) -> Iterator[str]:
    """Every string inside that has the form of a code."""
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and _CODE.fullmatch(part.value):
            yield part.value


def _codes(node: ast.AST) -> Iterator[str]:
    """The codes that this node gives: an argument of an error, ``{"code": …}``, or an assignment to such a name."""
    match node:
        case ast.Call(func=func, args=args):
            plain = [arg for arg in args if isinstance(arg, ast.Constant)]
            if _GIVES_A_CODE.fullmatch(ast.unparse(func).removeprefix("errors.").removeprefix("self._desk.")):
                yield from (code for arg in plain for code in _strings(arg))
        case ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "code" and isinstance(value, ast.Constant):
                    yield from _strings(value)
        case ast.Assign(targets=[target], value=value) | ast.AnnAssign(target=target, value=ast.expr() as value):
            names = [name.id for name in ast.walk(target) if isinstance(name, ast.Name)]
            if any(_HOLDS_CODES.fullmatch(name) for name in names):
                yield from _strings(value)


def _codes_of_the_source() -> set[str]:
    trees = [ast.parse(file.read_text("utf-8")) for file in _SOURCES]
    return {code for tree in trees for node in ast.walk(tree) for code in _codes(node)}


def _rows(name: str) -> list[tuple[str, str]]:
    """First and second cell of every row whose first cell is one piece of code."""
    return _ROW.findall((_ROOT / "docs" / name).read_text("utf-8"))


def _shown(default: object) -> str:
    """A default as the table writes it."""
    if default is None or default == "" or isinstance(default, SecretStr):
        return "none"
    if isinstance(default, float) and default.is_integer():
        return f"`{int(default)}`"
    return f"`{default}`"


def _defaults() -> dict[str, str]:
    """Every setting of the service's processes, with its default."""
    classes = (StoreSettings, WorkerSettings, AppSettings)
    fields = [(name, field.default) for settings in classes for name, field in settings.model_fields.items()]
    return {f"FINETUNED_{name.upper()}": _shown(default) for name, default in fields}


def test_every_error_code_is_documented() -> None:
    assert _codes_of_the_source() - {code for code, _ in _rows("errors.md")} == set()


def test_no_documented_error_code_is_gone() -> None:
    assert {code for code, _ in _rows("errors.md")} - _codes_of_the_source() == set()


def test_every_setting_is_documented_with_its_default() -> None:
    documented = dict(_rows("settings.md"))
    assert {name: documented.get(name, "").strip() for name in _defaults()} == _defaults()


def test_every_variable_that_the_source_names_is_documented_and_no_other() -> None:
    named = {name for file in _SOURCES for name in _SETTING.findall(file.read_text("utf-8"))}
    assert {name for name, _ in _rows("settings.md")} == named | set(_defaults())


@pytest.mark.parametrize(("page", "room"), [("faults.md", ""), ("manual.md", ""), ("threats.md", "")])
def test_every_test_that_a_table_of_tests_names_is_there(page: str, room: str) -> None:
    named = set(re.findall(r"`(test_\w+)`", (_ROOT / "docs" / page).read_text("utf-8")))
    files = (_ROOT / "tests" / room).rglob("*.py")
    there = {name for file in files for name in re.findall(r"def (test_\w+)", file.read_text("utf-8"))}
    assert named
    assert named <= there


@pytest.mark.parametrize("page", ["faults.md", "threats.md"])
def test_no_row_of_a_table_of_tests_is_without_one(page: str) -> None:
    lines = (_ROOT / "docs" / page).read_text("utf-8").splitlines()
    rows = [
        line for line in lines if line.startswith("| ") and not line.startswith(("| --- ", "| fault ", "| threat "))
    ]
    assert len(rows) > 20
    assert [row for row in rows if not re.search(r"`test_\w+`", row)] == []


def test_every_attack_is_named_in_the_table_of_threats() -> None:
    """Else a row could lose the better half of its tests unseen."""
    page = (_ROOT / "docs" / "threats.md").read_text("utf-8")
    files = (_ROOT / "tests" / "hostile").glob("test_*.py")
    there = {name for file in files for name in re.findall(r"^def (test_\w+)", file.read_text("utf-8"), re.MULTILINE)}
    assert {name for name in there if f"`{name}`" not in page} == set()
