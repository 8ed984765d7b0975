"""Die with the parent process, so that a kill -9 anywhere in the tree leaves no orphan."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent_pid: int) -> None:
    """Ask Linux to kill this process when its parent ends. Elsewhere the lease's end has to do."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it ended before the request
        os.kill(os.getpid(), signal.SIGKILL)
