import csv
import dataclasses
import io
import json
import tracemalloc
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.worker.importing.uploads import Imports, codes, pictures, zipped
from worker.importing import ImportFailedError, ImportResult

GOOD = "text,label\ngood film,pos\nfine film,pos\nbad film,neg\npoor film,neg\n"
COPIES = {"duplicate_items", "near_duplicate_items", "duplicate_across_splits", "conflicting_labels"}
COPIES |= {"near_duplicate_across_splits"}
GOOD_LINES = 'x\n{"text": "a", "label": "p"}\n{"text": "b", "label": "p"}\n{"text": "c", "label": "n"}\n'.removeprefix(
    "x\n"
)


def texts(imports: Imports, result: ImportResult) -> dict[str, str]:
    """Name → text of every imported item."""
    with imports.open(result) as itemset:
        return {item.name: itemset.content(item).decode() for item in itemset.items()}


def problems_of(imports: Imports, extra: str | bytes, ending: str = ".csv") -> dict[str, str]:
    """The problems of a good table with one more row, of which exactly the good ones are imported."""
    good = (GOOD if ending == ".csv" else GOOD_LINES).encode()
    result = imports.run(good + (extra if isinstance(extra, bytes) else extra.encode()), f"set{ending}")
    assert sum(result.splits.values()) == len(good.splitlines()) - (ending == ".csv")
    return codes(result.problems)


def test_a_csv_file_is_imported_with_items_named_by_line(imports: Imports) -> None:
    result = imports.run(GOOD.encode(), "films.CSV")
    assert result.task == "text-classification"
    assert result.classes == [{"label": "neg", "count": 2}, {"label": "pos", "count": 2}]
    assert result.splits == {"train": 2, "validation": 2, "test": 0}
    assert texts(imports, result)["line 2"] == "good film"


@pytest.mark.parametrize(
    "content",
    [
        GOOD.replace(",", ";"),
        GOOD.replace(",", "\t"),
        GOOD.replace("\n", "\r\n"),
        "\ufeff" + GOOD,
        GOOD.replace("text,label", " Text , LABEL "),
        GOOD.replace("text,label", '"text","label"'),
        GOOD.rstrip("\n"),
        "".join(f"{label},7,{text}\n" for text, label in (line.split(",") for line in GOOD.splitlines())).replace(
            "7", "id", 1
        ),
    ],
    ids=["semicolon", "tab", "crlf", "bom", "header-case", "header-quoted", "no-last-newline", "more-columns"],
)
def test_common_dialects_give_the_same_items(imports: Imports, content: str) -> None:
    assert imports.run(content.encode(), "a.csv") == imports.run(GOOD.encode(), "b.csv")


def test_quoted_cells_may_hold_delimiters_quotes_and_lines(imports: Imports) -> None:
    result = imports.run((GOOD + '"one, ""two""\nthree",pos\nlast,neg\n').encode(), "set.csv")
    assert texts(imports, result)["line 6"] == 'one, "two"\nthree'
    assert texts(imports, result)["line 8"] == "last"


def test_texts_keep_their_outer_spaces_and_labels_lose_them(imports: Imports) -> None:
    result = imports.run((GOOD + "  spaced  ,  pos \n").encode(), "set.csv")
    assert texts(imports, result)["line 6"] == "  spaced  "
    assert [row["label"] for row in result.classes] == ["neg", "pos"]


@pytest.mark.parametrize("validation", ["val", "valid", "validation", " Validation "])
def test_a_split_column_is_kept_as_given(imports: Imports, validation: str) -> None:
    rows = [("a", "p", "train"), ("b", "n", "train"), ("c", "p", validation), ("d", "n", "test"), ("e", "n", "")]
    content = "text,label,split\n" + "".join(",".join(row) + "\n" for row in rows)
    result = imports.run(content.encode(), "set.csv")
    assert {item.name: item.split for item in imports.items(result)} == {
        "line 2": "train",
        "line 3": "train",
        "line 4": "validation",
        "line 5": "test",
        "line 6": "train",
    }


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (",pos\n", "empty_text"),
        ("   ,pos\n", "empty_text"),
        ("x,\n", "empty_label"),
        ("x, \n", "empty_label"),
        ("x\n", "wrong_column_count"),
        ("x,pos,more\n", "wrong_column_count"),
        ("x\0y,pos\n", "nul_character"),
        ("x,p\0s\n", "nul_character"),
        ("x," + "l" * 201 + "\n", "label_too_long"),
        ("t" * 100_001 + ",pos\n", "text_too_long"),
        ("t" * 200_000 + ",pos\n", "malformed_row"),
        ("t" * 5_000_000 + ",pos\n", "line_too_long"),
        ('"x"y,pos\n', "malformed_row"),
        ('"never closed,pos\n', "malformed_row"),
    ],
)
def test_a_bad_csv_row_is_left_out_and_listed_by_its_line(imports: Imports, row: str, code: str) -> None:
    assert problems_of(imports, row) == {"line 6": code}


def test_reading_goes_on_after_a_bad_row(imports: Imports) -> None:
    result = imports.run((GOOD + "t" * 5_000_000 + ",pos\n" + '"x"y,pos\n' + "after,neg\n").encode(), "set.csv")
    assert codes(result.problems) == {"line 6": "line_too_long", "line 7": "malformed_row"}
    assert texts(imports, result)["line 8"] == "after"


def test_an_unclosed_quote_costs_no_more_rows_than_one_cell_may_hold(imports: Imports) -> None:
    rows = 30_000
    content = GOOD + '"open,pos\n' + "".join(f"{number} texts,neg\n" for number in range(rows))
    result = imports.run(content.encode(), "set.csv")
    assert codes(result.problems) == {"line 6": "malformed_row"}
    assert sum(result.splits.values()) > rows * 0.6


def test_an_unknown_split_is_left_out_and_listed(imports: Imports) -> None:
    content = "text,label,split\na,p,train\nb,p,train\nc,n,train\nd,n,dev\n"
    assert codes(imports.run(content.encode(), "set.csv").problems) == {"line 5": "unknown_split", "n": "tiny_class"}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("sentence,label\nx,y\n", "'sentence', 'label'"),
        ("text;class\nx;y\n", "'text', 'class'"),
        ("just words\n", "'just words'"),
        ("", "none"),
        ("\n\n", "none"),
    ],
)
def test_missing_columns_are_told_with_what_was_found(imports: Imports, content: str, told: str) -> None:
    failure = imports.failure(content.encode(), "set.csv")
    assert failure.code == "missing_columns"
    assert told in failure.message


def test_a_column_that_comes_twice_is_refused(imports: Imports) -> None:
    assert imports.failure(b"text,label,Text\na,b,c\n", "set.csv").code == "duplicate_columns"


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_what_is_not_utf8_fails_naming_the_line(imports: Imports, ending: str) -> None:
    good = GOOD if ending == ".csv" else GOOD_LINES
    failure = imports.failure(good.encode() + "caf\u00e9,pos\n".encode("latin-1"), f"set{ending}")
    assert failure.code == "not_utf8"
    assert f"Line {len(good.splitlines()) + 1} " in failure.message


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_of_unicode_only_utf8_is_read(imports: Imports, encoding: str) -> None:
    if encoding == "utf-16":
        assert imports.failure(GOOD.encode(encoding), "set.csv").code == "not_utf8"
    else:
        assert imports.run(GOOD.encode(encoding), "set.csv").problems == []


def test_a_json_lines_file_is_imported(imports: Imports) -> None:
    lines = [{"text": "a", "label": "p", "split": "train"}, {"text": "b", "Label ": "n"}, {"text": "c", "label": "p"}]
    content = "\n\n".join(json.dumps(line) for line in lines)
    result = imports.run(content.encode(), "set.jsonl")
    assert texts(imports, result) == {"line 1": "a", "line 3": "b", "line 5": "c"}


def test_numbers_and_booleans_are_labels_as_json_writes_them(imports: Imports) -> None:
    labels = [1, 1, 2.5, 2.5, True, True, False, False]
    content = "".join(json.dumps({"text": "x", "label": label}) + "\n" for label in labels)
    result = imports.run(content.encode(), "set.jsonl")
    assert [row["label"] for row in result.classes] == ["1", "2.5", "false", "true"]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ('{"label": "p"}', "empty_text"),
        ('{"text": null, "label": "p"}', "empty_text"),
        ('{"text": "x"}', "empty_label"),
        ('{"text": 5, "label": "p"}', "malformed_row"),
        ('{"text": "x", "label": ["p"]}', "malformed_row"),
        ('{"text": "x", "label": NaN}', "malformed_row"),
        ('{"text": "x", "label": ' + "9" * 5000 + "}", "malformed_row"),
        ('["x", "p"]', "malformed_row"),
        ('"x"', "malformed_row"),
        ("not json", "malformed_row"),
        ('{"text": "x", "label": "p"', "malformed_row"),
        ('{"text": "\\ud800", "label": "p"}', "lone_surrogate"),
        ('{"text": "x", "label": "\\udfff"}', "lone_surrogate"),
        ('{"text": "x\\u0000", "label": "p"}', "nul_character"),
        ('{"text": "x", "label": "p", "split": "dev"}', "unknown_split"),
        ('{"text": "x", "label": "p", "split": 1}', "unknown_split"),
        ('{"text": "x", "label": "p", "split": {}}', "unknown_split"),
        ('{"text": "x", "label": "p", "more": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested_too_deep"),
        ("[" * 100_000, "nested_too_deep"),
        ('{"a":' * 100_000, "nested_too_deep"),
        ('{"text": "' + "x" * 5_000_000 + '"}', "line_too_long"),
    ],
    ids=range(21),
)
def test_a_bad_json_row_is_left_out_and_listed_by_its_line(imports: Imports, row: str, code: str) -> None:
    assert problems_of(imports, row, ".jsonl") == {"line 4": code, "n": "tiny_class"}


def test_nesting_beyond_the_interpreters_limit_is_a_bad_row_too(imports: Imports) -> None:
    imports.limits = dataclasses.replace(imports.limits, json_depth=10**9)
    assert problems_of(imports, "[" * 100_000, ".jsonl") == {"line 4": "malformed_row", "n": "tiny_class"}


def test_a_label_written_in_two_normal_forms_is_one(imports: Imports) -> None:
    result = imports.run((GOOD + "x,caf\u00e9\ny,cafe\u0301\n").encode(), "set.csv")
    assert [row["label"] for row in result.classes] == ["caf\u00e9", "neg", "pos"]


def test_brackets_inside_a_text_are_no_nesting(imports: Imports) -> None:
    content = GOOD_LINES + json.dumps({"text": '[{"\\' * 1000, "label": "n"}) + "\n"
    assert imports.run(content.encode(), "set.jsonl").problems == []


@pytest.mark.timeout(30)
def test_a_line_made_to_be_slow_to_scan_is_not(imports: Imports) -> None:
    assert problems_of(imports, "[" * 200 + '"' + '\\"' * 1_000_000 + "\\", ".jsonl") == {
        "line 4": "nested_too_deep",
        "n": "tiny_class",
    }


def test_objects_without_the_columns_are_told_with_what_they_have(imports: Imports) -> None:
    failure = imports.failure(b'{"sentence": "x", "class": "y"}\n' * 3, "set.jsonl")
    assert failure.code == "missing_columns"
    assert "'class', 'sentence'" in failure.message


def test_a_line_of_a_hundred_megabytes_costs_no_memory(imports: Imports) -> None:
    content = GOOD.encode() + bytes(100_000_000)
    tracemalloc.start()
    result = imports.run(content, "set.csv")
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert codes(result.problems) == {"line 6": "line_too_long"}
    assert peak < 30_000_000


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_rows_and_bytes_are_limited(imports: Imports, ending: str) -> None:
    content = (GOOD if ending == ".csv" else GOOD_LINES).encode()
    defaults = imports.limits
    imports.limits = dataclasses.replace(defaults, files=2)
    assert imports.failure(content, f"set{ending}").code == "too_many_files"
    imports.limits = dataclasses.replace(defaults, total_bytes=2)
    assert imports.failure(content, f"set{ending}").code == "dataset_too_large"


@pytest.mark.parametrize("folder", ["", "set/"])
def test_an_archive_of_tables_named_by_split_is_read_as_one_set(imports: Imports, folder: str) -> None:
    files = {"train.csv": GOOD, "valid.jsonl": GOOD_LINES.replace('"p"', '"pos"').replace('"n"', '"neg"')}
    members = {folder + name: text.encode() for name, text in files.items()}
    result = imports.run(zipped({**members, "README.md": b"# x"}, method=zipfile.ZIP_DEFLATED))
    assert result.task == "text-classification"
    assert result.splits == {"train": 4, "validation": 3, "test": 0}
    assert texts(imports, result)["valid.jsonl line 3"] == "c"


def test_a_table_beside_images_is_no_data(imports: Imports) -> None:
    assert imports.run(zipped({"train.csv": GOOD.encode(), **pictures("a", "b")})).task == "image-classification"


def test_a_table_in_an_archive_that_unpacks_to_a_thousandfold_is_a_bomb(imports: Imports) -> None:
    imports.limits = dataclasses.replace(imports.limits, ratio_free_bytes=100_000)
    rows = b"same text,pos\n" * 20_000
    archive = zipped({"train.csv": GOOD.encode() + rows}, method=zipfile.ZIP_DEFLATED)
    assert imports.failure(archive).code == "archive_bomb"


def test_a_damaged_table_in_an_archive_fails_the_import(imports: Imports) -> None:
    archive = zipped({"train.csv": GOOD.encode()}).replace(b"poor film", b"pour film")
    assert imports.failure(archive).code == "corrupt_member"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1), min_size=4))
def test_any_text_survives_csv_byte_for_byte(imports: Imports, wanted: list[str]) -> None:
    wanted = [text + "." for text in wanted]
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerows([("text", "label"), *((text, "pn"[number % 2]) for number, text in enumerate(wanted))])
    result = imports.run(file.getvalue().encode(), "set.csv")
    assert not {problem["code"] for problem in result.problems} - COPIES - {"tiny_class"}
    assert sorted(texts(imports, result).values()) == sorted(wanted)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300), st.sampled_from([".csv", ".jsonl"]))
def test_no_bytes_escape_as_another_error(imports: Imports, noise: bytes, ending: str) -> None:
    content = (GOOD if ending == ".csv" else GOOD_LINES).encode() + noise
    try:
        result = imports.run(content, f"set{ending}")
    except ImportFailedError as error:
        assert error.message
    else:
        assert result.fingerprint


def test_a_table_that_cannot_even_be_begun_is_a_problem_and_the_others_are_imported(imports: Imports) -> None:
    content = bytearray(zipped({"train.csv": GOOD.encode(), "test.csv": GOOD.encode()}))
    start = content.index(b"PK\3\4", 4)  # where the second member begins
    content[start : start + 2] = b"XX"
    result = imports.run(bytes(content))
    assert codes(result.problems)["test.csv"] == "corrupt_member"
    assert (sum(result.splits.values()), result.splits["test"]) == (4, 0)


def test_an_archive_of_one_table_that_cannot_be_begun_says_why(imports: Imports) -> None:
    failure = imports.failure(b"XX" + zipped({"train.csv": GOOD.encode()})[2:])
    assert [problem["code"] for problem in failure.problems] == ["corrupt_member"]
