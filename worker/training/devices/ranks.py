"""The processes of a training on several devices, as the child sees that starts them.

The child is none of them. It waits for no other process's arithmetic, so it can always end them all, whatever they
wait for: when the job is cancelled, when its lease is lost, and when one of them is gone.
"""

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict
from types import TracebackType
from typing import Final, NoReturn, Self

import torch

from models_store.database.tables import Json
from models_store.errors import FinetunedError, InvalidError, LeaseLostError, StorageUnavailableError
from worker.attempt import Attempt, CancelledByOwnerError, StoppedPolitelyError
from worker.training.devices.line import (
    BEAT,
    BROKEN,
    DIED,
    FAILED,
    LOST,
    MEMORY,
    STOP,
    STOPPED,
    TRAIN,
    TRAINED,
    Line,
)

LOOK_SECONDS: Final = 0.25
GRACE_SECONDS: Final = 2.0
"""When one rank has ended in another way than by having trained: what the others have to say may be the cause."""
CAUSES: Final = (MEMORY, FAILED, STOPPED, LOST, DIED, BROKEN)
"""From what is a cause in any case to what may be a consequence of another rank's end."""
_LOOPBACK: Final = "lo" if sys.platform.startswith("linux") else "lo0"


def train(attempt: Attempt, devices: int, resumed: Json | None, halvings: int) -> Json:
    """Train in a process a device, and give the checkpoint with which the training ended.

    Args:
        resumed: the checkpoint to go on from.

    Raises:
        CancelledByOwnerError: as ``Attempt.beat``.
        StoppedPolitelyError: a checkpoint was left where there was anything to save.
        LeaseLostError: nothing more can be written.
        torch.OutOfMemoryError: a device has too little memory for its part of a batch.
        InvalidError: it cannot be done.
    """
    store = attempt.directory / "ranks"
    store.unlink(missing_ok=True)
    order: Json = {
        "claim": asdict(attempt.claim),
        "directory": str(attempt.directory),
        "store": str(store),
        "world": devices,
        "resumed": resumed,
        "halvings": halvings,
    }
    with Ranks(attempt, order) as ranks:
        ranks.until_trained()
    finished: Json = (attempt.row().checkpoint or {})["kept"][0]
    return finished


class Rank:
    """One process. ``end`` is its last word once there is one."""

    def __init__(self, number: int, order: Json) -> None:
        self.number = number
        self.end: Json | None = None
        ours, theirs = socket.socketpair()
        self._line = Line(ours)
        command = [sys.executable, "-m", "worker.training.devices.rank", str(os.getpid())]
        with theirs:
            self._process = subprocess.Popen(command, stdin=theirs.fileno(), env=_environment(number, order["world"]))
        self.say(TRAIN, number=number, **order)

    def fileno(self) -> int:
        """To wait on until it has said something, or is gone."""
        return self._line.fileno()

    def say(self, word: str, **more: object) -> None:
        """Tell it; one that is gone will be noticed when it is listened to."""
        with contextlib.suppress(OSError):
            self._line.say(word, **more)

    def hear(self) -> bool:
        """Take in what it says, and tell whether its work moves."""
        said = self._line.hear()
        if said is None:
            self.end = {"say": DIED, "returncode": self._process.wait()}
            return False
        for one in said:
            if one["say"] != BEAT:
                self.end = one
        return True

    def close(self) -> None:
        """Leave nothing of it."""
        self._process.kill()
        self._process.wait()
        self._line.close()


class Ranks:
    """All of them; at the end of the ``with`` block none is left."""

    def __init__(self, attempt: Attempt, order: Json) -> None:
        self._attempt, self._order = attempt, order
        self._ranks: list[Rank] = []
        self._stopping = False

    def __enter__(self) -> Self:
        for number in range(self._order["world"]):
            self._ranks.append(Rank(number, self._order))
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        for rank in self._ranks:
            rank.close()

    def until_trained(self) -> None:
        """Return when all have trained; otherwise end as the one did that is the cause."""
        while left := self._left():
            self._look()
            self._hear(left, LOOK_SECONDS)
            if any(rank.end and rank.end["say"] != TRAINED for rank in self._ranks):
                self._fall()

    def _left(self) -> list[Rank]:
        return [rank for rank in self._ranks if rank.end is None]

    def _look(self) -> None:
        if self._attempt.cancel_requested:
            raise CancelledByOwnerError
        if self._attempt.stop_requested and not self._stopping:
            self._ranks[0].say(STOP)
            self._stopping = True

    def _hear(self, left: list[Rank], seconds: float) -> None:
        with selectors.DefaultSelector() as selector:
            for rank in left:
                selector.register(rank, selectors.EVENT_READ, rank)
            for key, _ in selector.select(seconds):
                if key.data.hear():
                    self._attempt.beat()

    def _fall(self) -> NoReturn:
        """Hear the others out, and end by the first cause."""
        until = time.monotonic() + GRACE_SECONDS
        while (left := self._left()) and time.monotonic() < until:
            self._hear(left, until - time.monotonic())
        ended = [rank for rank in self._ranks if rank.end and rank.end["say"] != TRAINED]
        cause = min(ended, key=lambda rank: CAUSES.index((rank.end or {})["say"]))
        self._end_by(cause.number, cause.end or {})

    def _end_by(self, number: int, end: Json) -> NoReturn:
        word = end["say"]
        if word == MEMORY:
            raise torch.OutOfMemoryError(end["message"])
        if word == STOPPED:
            raise StoppedPolitelyError
        if word == LOST:
            raise LeaseLostError(self._attempt.claim.job_id)
        if word == DIED:
            self._die_too(number, end["returncode"])
        raise failure(end["error"])

    def _die_too(self, number: int, returncode: int) -> NoReturn:
        """A rank's crash is the attempt's: the supervisor settles it, and tells a kill for memory by how this dies."""
        how = f"was killed by {signal.Signals(-returncode).name}" if returncode < 0 else f"exited with {returncode}"
        print(f"rank {number} of {len(self._ranks)} {how}", file=sys.stderr, flush=True)  # noqa: T201 - the job's log
        for rank in self._ranks:
            rank.close()
        if returncode == -signal.SIGKILL:
            os.kill(os.getpid(), signal.SIGKILL)
        os._exit(os.EX_SOFTWARE)


def _environment(number: int, world: int) -> dict[str, str]:
    """They talk on this machine alone, share its processors, and take no other launcher's word for where they are."""
    return {
        **os.environ,
        "LOCAL_RANK": str(number),
        "NODE_RANK": "0",
        "GLOO_SOCKET_IFNAME": _LOOPBACK,
        "NCCL_SOCKET_IFNAME": _LOOPBACK,
        "OMP_NUM_THREADS": str(max(1, torch.get_num_threads() // world)),
    }


def failure(reason: Json) -> FinetunedError:
    """What a rank has told of its failure, as it would be here: a store that does not answer fails no job."""
    if reason["code"] == StorageUnavailableError().code:
        return StorageUnavailableError()
    return InvalidError(reason["code"], reason["message"], param=reason["param"])
