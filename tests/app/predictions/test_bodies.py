"""What a JSON body would become is known before it is parsed."""

import json
import time

import pytest

from app.predictions.bodies import values

MOST = 3_000


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"model": "x", "inputs": [' + b'"",' * 5_000_000 + b'""]}', id="strings"),
        pytest.param(b"[" + b"[]," * 5_000_000 + b"[]]", id="lists"),
        pytest.param(b"[" + b"{}," * 5_000_000 + b"{}]", id="objects"),
        pytest.param(b"[" + b"1," * 5_000_000 + b"1]", id="numbers"),
        pytest.param(b"[" * 10_000_000, id="depth"),
        pytest.param(b'["", ' + b"\n" * 1_000_000 + b"1 ,\t" * 1_000_000, id="with space between"),
        pytest.param(b'{"a": "x\\\\", ' + b'"b": "\\"",' * 1_000_000 + b"}", id="escapes"),
    ],
)
def test_a_body_of_very_many_values_is_told_soon(body: bytes) -> None:
    started = time.process_time()
    assert values(body, MOST) > MOST
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    "inputs",
    [
        ["A" * 10_000_000],
        ["a, [b], {c}, \\, \"d\", 'e'\n" * 10_000] * 10,
        ['"' * 1_000_000, "\\" * 1_000_000],
        ["é😀,\u2028" * 100_000],
        ["x"] * 1024,
    ],
)
def test_signs_inside_of_texts_are_no_values(inputs: list[str]) -> None:
    for plain in (True, False):
        body = json.dumps({"model": "m", "inputs": inputs}, ensure_ascii=plain).encode()
        assert values(body, MOST) <= 2 * len(inputs) + 10


@pytest.mark.parametrize("body", [b"", b'"', b'"\\', b'["a", "b', b"\xff\xfe", b'"' * 5])
def test_what_is_no_json_is_counted_too(body: bytes) -> None:
    assert values(body, MOST) < 10
