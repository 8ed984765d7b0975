"""Each cell stands beside the peer that was best in it."""

import pytest

from bench.measurement import Measurement
from bench.serving.alone import Alone
from bench.serving.comparing import AIMS, Results, Who
from bench.serving.load import Load


@pytest.fixture
def rows() -> dict[str, Measurement]:
    """Peer A is faster, with a longer tail; ours did better while the slower peer B ran."""
    results = Results()
    for kind, connections in AIMS:
        for peer, theirs, ours in (("A", Load(10, 0.1, 0.4), 30), ("B", Load(5, 0.1, 0.2), 90)):
            results.add(Who(kind, connections, peer, peer), theirs)
            for precision in ("f32", "auto"):
                results.add(Who(kind, connections, peer, precision), Load(ours - 10, 0.1, 0.3))
                results.add(Who(kind, connections, peer, precision), Load(ours + 10, 0.1, 0.5))
        for precision in ("f32", "auto"):
            served = {"image": "engine bf16", "text": "engine f32"}[kind] if precision == "auto" else "engine f32"
            results.limit(kind, connections, precision, served, Alone(50.0, 4, 0.002), Load(40, 0.1, 0.1))
    return {row.what: row for row in results.measurements()}


def test_ours_is_compared_with_the_peer_that_answered_most(rows: dict[str, Measurement]) -> None:
    row = rows["images, 16 connections, f32 (engine f32): requests/s"]
    assert (row.ours, row.peer, row.ratio, row.beside) == (30, 10, 3.0, "A; B 5.0")


def test_the_tail_is_compared_with_that_of_the_same_peer(rows: dict[str, Measurement]) -> None:
    row = rows["texts, 1 connection, auto (engine f32): p99"]
    assert (row.ours, row.peer, row.met) == (400, 400, True)


def test_each_cell_has_its_aim_in_float32_and_one_for_all_in_bfloat16(rows: dict[str, Measurement]) -> None:
    aims = {what: row.aim for what, row in rows.items() if what.endswith("requests/s")}
    assert [aim for what, aim in aims.items() if ", f32 (" in what] == list(AIMS.values())
    assert {aim for what, aim in aims.items() if "bf16" in what} == {2.5}


def test_auto_that_serves_in_float32_has_the_aims_of_float32(rows: dict[str, Measurement]) -> None:
    for connections, said in ((1, "1 connection"), (16, "16 connections")):
        assert rows[f"texts, {said}, auto (engine f32): requests/s"].aim == AIMS["text", connections]


def test_the_engine_alone_is_the_limit(rows: dict[str, Measurement]) -> None:
    row = rows["texts, 16 connections, auto (engine f32): requests/s beside the limit"]
    assert (row.ratio, row.aim, row.met) == (0.8, 0.85, False)
