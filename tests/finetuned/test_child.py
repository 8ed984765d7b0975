"""Children are kept alive, and end when they should."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from finetuned.child import Child, stop_all
from tests.finetuned.waiting import until

_STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
)


@contextmanager
def _child(log_dir: Path, *command: str) -> Iterator[Child]:
    child = Child("part", command, dict(os.environ), log_dir)
    child.start()
    try:
        yield child
    finally:
        child.kill()


def test_death_is_told_with_the_last_lines_and_mended(tmp_path: Path) -> None:
    told: list[str] = []
    with _child(tmp_path, "sh", "-c", "echo out of luck; exit 3") as child:
        until(lambda: not child.running, "it ends")
        first = child.pid

        def tended() -> bool:
            child.tend(told.append)
            return child.pid != first

        until(tended, "it is started again")

    assert "part ended with code 3" in told[0]
    assert "out of luck" in told[0]


def test_pause_before_a_restart_grows_while_deaths_come_quickly(tmp_path: Path) -> None:
    told: list[str] = []
    with _child(tmp_path, "false") as child:

        def died_three_times() -> bool:
            child.tend(told.append)
            return len(told) == 3

        until(died_three_times, "three deaths")

    assert [line.rsplit(" in ", 1)[1] for line in told] == ["0.5 s.", "1 s.", "2 s."]


def test_last_lines_are_of_this_run_alone(tmp_path: Path) -> None:
    (tmp_path / "part.log").write_text("from yesterday\n")
    with _child(tmp_path, "echo", "from today") as child:
        child.wait()

        assert child.last_lines() == ["from today"]


def test_large_log_is_put_aside_at_the_start(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    with log.open("wb") as file:
        file.truncate(51 * 2**20)
    with _child(tmp_path, "echo", "fresh") as child:
        child.wait()

    assert log.read_text() == "fresh\n"
    assert (tmp_path / "part.log.1").stat().st_size == 51 * 2**20


def test_child_that_ignores_the_request_is_killed_after_the_grace(tmp_path: Path) -> None:
    with _child(tmp_path, sys.executable, "-c", _STUBBORN) as child:
        until(lambda: child.last_lines() == ["deaf"], "it ignores SIGTERM")

        stop_all([child], 0.2, lambda: False)

        assert not child.running


def test_hurry_ends_the_grace(tmp_path: Path) -> None:
    with _child(tmp_path, sys.executable, "-c", _STUBBORN) as child:
        until(lambda: child.last_lines() == ["deaf"], "it ignores SIGTERM")

        stop_all([child], 600.0, lambda: True)

        assert not child.running


def test_kill_ends_the_whole_group(tmp_path: Path) -> None:
    with _child(tmp_path, "sh", "-c", "sleep 600 & wait") as child:
        until(lambda: len(psutil.Process(child.pid).children()) == 1, "it has a child of its own")
        grandchild = psutil.Process(child.pid).children()[0]

        child.kill()

        until(lambda: not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE, "the group ends")
