"""Tables of texts that are endless, deep, or no text; through the real import, and as inputs of predictions."""

import io
import json
import resource
from pathlib import Path
from typing import Any

import pytest

from tests.hostile import forms
from tests.hostile.tenant import Tenant
from worker.importing import ImportLimits, ImportOptions, import_upload

_MIB = 2**20
_GOOD = ["text,label", *(f"a text of number {n},{'good' if n % 2 else 'bad'}" for n in range(8))]
_DEEP = "[" * 100_000 + "]" * 100_000


def _codes(dataset: dict[str, Any]) -> set[str]:
    return {problem["code"] for problem in dataset["problems"]}


def _json_lines(*more: str) -> bytes:
    good = [json.dumps({"text": f"text {n}", "label": "good" if n % 2 else "bad"}) for n in range(8)]
    return "\n".join([*good, *more]).encode("utf-8", "surrogatepass")


def _csv(*more: str) -> bytes:
    return "\n".join([*_GOOD, *more, ""]).encode("utf-8", "surrogatepass")


ROWS: dict[str, tuple[str, bytes, str]] = {
    "a long line": ("a.csv", _csv("x" * 5_000_000 + ",bad"), "line_too_long"),
    "a long line of JSON": ("a.jsonl", _json_lines('{"text": "' + "x" * 5_000_000), "line_too_long"),
    "a NUL": ("a.csv", _csv("a\0b,bad"), "nul_character"),
    "a NUL in JSON": ("a.jsonl", _json_lines('{"text": "a\\u0000b", "label": "bad"}'), "nul_character"),
    "a NUL in a label": ("a.jsonl", _json_lines('{"text": "a", "label": "b\\u0000d"}'), "nul_character"),
    "half a pair": ("a.jsonl", _json_lines('{"text": "\\ud800", "label": "bad"}'), "lone_surrogate"),
    "half a pair in a label": ("a.jsonl", _json_lines('{"text": "a", "label": "\\udfff"}'), "lone_surrogate"),
    "deep": ("a.jsonl", _json_lines('{"text": ' + _DEEP + ', "label": "bad"}'), "nested_too_deep"),
    "deep and unknown": ("a.jsonl", _json_lines('{"x": ' + _DEEP + ', "text": "a", "label": "b"}'), "nested_too_deep"),
    "deep objects": ("a.jsonl", _json_lines('{"a":' * 100_000 + "1" + "}" * 100_000), "nested_too_deep"),
    "never closed": ("a.jsonl", _json_lines("[" * 1_000_000), "nested_too_deep"),
    "a huge number": ("a.jsonl", _json_lines('{"text": "a", "label": ' + "9" * 100_000 + "}"), "malformed_row"),
    "infinity": ("a.jsonl", _json_lines('{"text": "a", "label": Infinity}'), "malformed_row"),
    "a long label": ("a.csv", _csv("a," + "b" * 201), "label_too_long"),
    "a long text": ("a.csv", _csv("a" * 100_001 + ",bad"), "text_too_long"),
    "a quote without end": ("a.csv", _csv('"' + "x\n" * 200_000), "malformed_row"),
    "many columns": ("a.csv", _csv("," * 1_000_000), "wrong_column_count"),
}


@pytest.mark.parametrize("attack", ROWS)
def test_a_hostile_row_is_a_bad_item_and_the_others_are_imported(attack: str, ann: Tenant) -> None:
    filename, content, code = ROWS[attack]
    dataset = ann.imported(filename, content)
    assert dataset["status"] == "ready", dataset["error"]
    assert code in _codes(dataset)
    assert sum(dataset["splits"].values()) == 8


WHOLE: dict[str, tuple[str, bytes, str]] = {
    "half a pair as bytes": ("a.csv", _csv("\ud800,bad"), "not_utf8"),
    "overlong bytes": ("a.csv", _csv() + b"\xc0\xaf,bad\n", "not_utf8"),
    "UTF-16": ("a.csv", _csv().decode().encode("utf-16"), "not_utf8"),
    "many names": ("a.csv", b"," * 3_000_000 + b"\n", "missing_columns"),
    "a header without end": ("a.csv", b"text," * 2_000_000, "line_too_long"),
    "a picture": ("a.csv", b"\x89PNG\r\n\x1a\n" + bytes(1000), "not_utf8"),
    "a bomb of one line": ("a.zip", forms.archive([("train.csv", b"text,label\n" + bytes(60 * _MIB))]), "archive_bomb"),
    "nothing": ("a.jsonl", b"", "too_few_items"),
}


@pytest.mark.parametrize("attack", WHOLE)
def test_a_hostile_table_ends_its_own_import_alone(attack: str, ann: Tenant) -> None:
    filename, content, code = WHOLE[attack]
    dataset = ann.imported(filename, content)
    assert (dataset["status"], (dataset["error"] or {}).get("code")) == ("failed", code)


def test_a_line_of_a_gigabyte_is_passed_over_in_little_memory(tmp_path: Path) -> None:
    """A sparse file: the disk holds nothing of it, the import reads all of it."""
    upload = tmp_path / "upload"
    with upload.open("wb") as file:
        file.write("\n".join([*_GOOD, ""]).encode())
        file.seek(2**30, io.SEEK_CUR)
        file.write(b"\nafter it,bad\n")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = import_upload(upload, "a.csv", ImportOptions(), tmp_path / "sets", ImportLimits(), lambda _fraction: None)
    assert {problem["code"] for problem in result.problems} == {"line_too_long"}
    assert sum(result.splits.values()) == 9
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 100 * _MIB


FORMULAS = ["=HYPERLINK(1)", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0"]


def test_formulas_come_back_as_the_texts_that_they_are(ann: Tenant) -> None:
    """A label is given back as it came, as JSON: a spreadsheet reads nothing of it."""
    rows = [json.dumps({"text": f"{formula} {n}", "label": formula}) for formula in FORMULAS for n in range(2)]
    dataset = ann.imported("a.jsonl", "\n".join(rows).encode(), name="=1+1")
    assert {one["label"] for one in dataset["classes"]} == {formula.strip() for formula in FORMULAS}
    assert dataset["name"] == "=1+1"


def test_no_route_answers_with_a_table(ann: Tenant) -> None:
    """Cells that begin with = + - @ run in spreadsheets: whoever adds an export of tables has to quote them."""
    described = ann.client.get("/openapi.json").json()
    kinds = {
        kind
        for operations in described["paths"].values()
        for operation in operations.values()
        for answer in operation["responses"].values()
        for kind in answer.get("content", {})
    }
    assert "application/json" in kinds
    assert {kind for kind in kinds if "csv" in kind or "sheet" in kind or "excel" in kind} == set()
