"""A tethered command ends with the process that started it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from finetuned import tether
from tests.finetuned.waiting import until

_TETHER = [sys.executable, str(Path(tether.__file__))]
_PARENT = """
import os, subprocess, sys
child = subprocess.Popen([*{tether!r}, str(os.getpid()), "sleep", "600"])
print(child.pid, flush=True)
child.wait()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a child of its parent's death")
def test_command_ends_when_its_parent_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", _PARENT.format(tether=_TETHER)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout:
        child = psutil.Process(int(parent.stdout.readline()))
    until(lambda: child.name() == "sleep", "the tether becomes the command")

    parent.send_signal(signal.SIGKILL)
    parent.wait()

    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, "the command ends")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a child of its parent's death")
def test_command_does_not_start_when_the_parent_is_gone_already() -> None:
    another = str(os.getpid() + 1)

    done = subprocess.run([*_TETHER, another, "echo", "started"], capture_output=True, text=True, check=False)

    assert done.returncode != 0
    assert done.stdout == ""


def test_exit_code_is_the_command_s_own() -> None:
    assert subprocess.run([*_TETHER, str(os.getpid()), "sh", "-c", "exit 7"], check=False).returncode == 7


def test_missing_command_is_named() -> None:
    done = subprocess.run([*_TETHER, str(os.getpid()), "no-such-command"], capture_output=True, text=True, check=False)

    assert done.returncode == 127
    assert "no-such-command" in done.stderr
