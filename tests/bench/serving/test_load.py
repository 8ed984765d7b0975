"""What wrk prints is read, and refused where it says nothing about speed."""

from pathlib import Path

import pytest

from bench.serving.load import Load, LoadError, NoAnswerError, average, load, parsed

_OUTPUT = """Running 2s test @ http://127.0.0.1:1/predict
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.78s    19.35us   1.78s    57.14%
    Req/Sec     3.00      0.00     3.00    100.00%
  Latency Distribution
     50%  980.00us
     75%    1.78s
     90%    1.78s
     99%   17.80ms
  7 requests in 2.01s, 2.41KB read
Requests/sec:      3.49
Transfer/sec:      1.20KB
"""


def test_rate_and_percentiles_are_read_in_seconds() -> None:
    assert parsed(_OUTPUT) == Load(3.49, 980.0 * 1e-6, 17.8 * 1e-3)


@pytest.mark.parametrize(
    "line", ["  Non-2xx or 3xx responses: 3", "  Socket errors: connect 0, read 0, write 0, timeout 4"]
)
def test_a_load_with_answers_that_are_none_is_refused(line: str) -> None:
    with pytest.raises(LoadError, match="Not every request"):
        parsed(f"{_OUTPUT}{line}\n")


def test_a_load_without_an_answer_is_no_fast_one() -> None:
    with pytest.raises(NoAnswerError):
        parsed(_OUTPUT.replace("  7 requests", "  0 requests"))


def test_wrk_that_did_nothing_is_told() -> None:
    with pytest.raises(LoadError, match="did not say"):
        parsed("unable to connect")


def test_loads_are_averaged() -> None:
    assert average([Load(1, 2, 3), Load(3, 4, 5)]) == Load(2, 3, 4)


def test_a_machine_without_wrk_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LoadError, match="apt-get install wrk"):
        load("http://127.0.0.1:1", tmp_path, connections=1, seconds=1, script=tmp_path, environment={})
