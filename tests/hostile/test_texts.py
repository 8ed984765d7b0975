"""Tables of texts that are endless, deep, or no text; through the real import, and as inputs of predictions."""

import io
import json
import resource
from pathlib import Path

import pytest

from tests.hostile import forms
from tests.hostile.tenant import Tenant
from worker.importing import ImportFailedError, ImportLimits, ImportOptions, import_upload

_MIB = 2**20
_GOOD = ["text,label", *(f"a text of number {n},{'good' if n % 2 else 'bad'}" for n in range(8))]
_DEEP = "[" * 100_000 + "]" * 100_000


def _nobody(_fraction: float) -> None:
    """Whom the progress is told."""


def _json_lines(*more: str) -> bytes:
    good = [json.dumps({"text": f"text {n}", "label": "good" if n % 2 else "bad"}) for n in range(8)]
    return "\n".join([*good, *more]).encode("utf-8", "surrogatepass")


def _csv(*more: str) -> bytes:
    return "\n".join([*_GOOD, *more, ""]).encode("utf-8", "surrogatepass")


CSV_ROWS = {
    "x" * 5_000_000 + ",bad": "line_too_long",
    "a\0b,bad": "nul_character",
    "a,b\0d": "nul_character",
    "a," + "b" * 201: "label_too_long",
    "a" * 100_001 + ",bad": "text_too_long",
    "," * 1_000_000: "wrong_column_count",
    '"a"b,bad': "malformed_row",
    '"' + "x" * 200_000: "malformed_row",
}
JSON_ROWS = {
    '{"text": "' + "x" * 5_000_000: "line_too_long",
    '{"text": "a\\u0000b", "label": "bad"}': "nul_character",
    '{"text": "a", "label": "b\\u0000d"}': "nul_character",
    '{"text": "\\ud800", "label": "bad"}': "lone_surrogate",
    '{"text": "a", "label": "\\udfff"}': "lone_surrogate",
    '{"text": ' + _DEEP + ', "label": "bad"}': "nested_too_deep",
    '{"x": ' + _DEEP + ', "text": "a", "label": "b"}': "nested_too_deep",
    '{"a":' * 100_000 + "1" + "}" * 100_000: "nested_too_deep",
    "[" * 1_000_000: "nested_too_deep",
    '{"text": "a", "label": ' + "9" * 100_000 + "}": "malformed_row",
    '{"text": "a", "label": Infinity}': "malformed_row",
}


@pytest.mark.parametrize(("filename", "rows"), [("a.csv", CSV_ROWS), ("a.jsonl", JSON_ROWS)])
def test_hostile_rows_are_bad_items_and_the_others_are_imported(
    filename: str, rows: dict[str, str], ann: Tenant
) -> None:
    dataset = ann.imported(filename, _csv(*rows) if filename == "a.csv" else _json_lines(*rows))
    assert dataset["status"] == "ready", dataset["error"]
    told = {int(one["item"].removeprefix("line ")): one["code"] for one in dataset["problems"] if "line" in one["item"]}
    first = 10 if filename == "a.csv" else 9
    assert {line: told.get(line) for line in range(first, first + len(rows))} == dict(enumerate(rows.values(), first))
    assert sum(dataset["splits"].values()) == 8


WHOLE: dict[str, tuple[str, bytes, str]] = {
    "half a pair as bytes": ("a.csv", _csv("\ud800,bad"), "not_utf8"),
    "overlong bytes": ("a.csv", _csv() + b"\xc0\xaf,bad\n", "not_utf8"),
    "UTF-16": ("a.csv", _csv().decode().encode("utf-16"), "not_utf8"),
    "many names": ("a.csv", b"," * 3_000_000 + b"\n", "missing_columns"),
    "a header without end": ("a.csv", b"text," * 2_000_000, "line_too_long"),
    "a picture": ("a.csv", b"\x89PNG\r\n\x1a\n" + bytes(1000), "not_utf8"),
    "a bomb of one line": ("a.zip", forms.archive([("train.csv", b"text,label\n" + bytes(60 * _MIB))]), "archive_bomb"),
    "nothing": ("a.jsonl", b"", "too_few_classes"),
}


@pytest.mark.parametrize("attack", WHOLE)
def test_a_hostile_table_ends_its_own_import_alone(attack: str, tmp_path: Path) -> None:
    filename, content, code = WHOLE[attack]
    (tmp_path / "upload").write_bytes(content)
    with pytest.raises(ImportFailedError) as caught:
        import_upload(tmp_path / "upload", filename, ImportOptions(), tmp_path / "sets", ImportLimits(), _nobody)
    assert caught.value.code == code


def test_a_line_of_a_gigabyte_is_passed_over_in_little_memory(tmp_path: Path) -> None:
    """A sparse file: the disk holds nothing of it, the import reads all of it."""
    upload = tmp_path / "upload"
    with upload.open("wb") as file:
        file.write("\n".join([*_GOOD, ""]).encode())
        file.seek(2**30, io.SEEK_CUR)
        file.write(b"\nafter it,bad\n")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = import_upload(upload, "a.csv", ImportOptions(), tmp_path / "sets", ImportLimits(), _nobody)
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
