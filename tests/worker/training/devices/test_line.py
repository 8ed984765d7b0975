import socket

import pytest

from worker.training.devices.line import BEAT, FAILED, Line


@pytest.fixture
def ends() -> tuple[Line, Line]:
    one, other = socket.socketpair()
    return Line(one), Line(other)


def test_words_arrive_in_order_with_what_belongs_to_them(ends: tuple[Line, Line]) -> None:
    here, there = ends
    here.say(BEAT)
    here.say(FAILED, error={"code": "x", "message": "한글\n"})
    assert there.hear() == [{"say": BEAT}, {"say": FAILED, "error": {"code": "x", "message": "한글\n"}}]


def test_a_word_that_is_cut_in_two_is_heard_when_it_is_whole() -> None:
    raw, end = socket.socketpair()
    line = Line(end)
    raw.sendall(b'{"say": "be')
    assert line.hear() == []
    raw.sendall(b'at"}\n')
    assert line.hear() == [{"say": BEAT}]


def test_when_nobody_is_there_any_more_nothing_is_heard(ends: tuple[Line, Line]) -> None:
    here, there = ends
    here.close()
    assert there.hear() is None
    with pytest.raises(OSError):
        there.say(BEAT)
        there.say(BEAT)
