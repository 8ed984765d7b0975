"""``python -m worker.training.devices.rank PARENT``: train with the others, and say to the child how it ended.

What to do comes over the socket that is its input (:mod:`worker.training.devices.line`). A rank dies with the child,
and is in its process group: whoever ends that leaves none.
"""

import os
import signal
import socket
import sys
import threading
import traceback
from pathlib import Path
from typing import Final

import torch

from models_store.database.engine import Database
from models_store.database.tables import Json
from models_store.errors import DatabaseUnavailableError, LeaseLostError
from models_store.leases import Claim
from worker.attempt import LOST_EXIT, Attempt, StoppedPolitelyError
from worker.child import as_failure
from worker.parent import die_with_parent
from worker.settings import WorkerSettings
from worker.training import fitting, hardware
from worker.training.devices import group
from worker.training.devices.attempts import First, Other
from worker.training.devices.line import BROKEN, FAILED, LOST, MEMORY, STOP, STOPPED, TRAINED, Line
from worker.training.preparing import asked, assemble, dataset_of
from worker.training.strategies import STRATEGIES

UNFORESEEN: Final = "internal_error"


def main(parent_pid: int) -> None:
    """Entry point; never returns, as what libraries clean up at an exit can wait for ranks that are gone."""
    die_with_parent(parent_pid)
    # Lightning answers TERM with a word to the other ranks, which do not expect one. It is the child that is stopped.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    line = _line()
    word, more = _end(line)
    line.say(word, **more)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(0)


def _line() -> Line:
    """The input becomes empty: nothing else is to read from the socket."""
    line = Line(socket.socket(fileno=os.dup(0)))
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    return line


def _end(line: Line) -> tuple[str, Json]:
    """Do what is asked; the word for how it ended, and the reason where there is one."""
    try:
        _train(line)
    except StoppedPolitelyError:
        return STOPPED, {}
    except (LeaseLostError, DatabaseUnavailableError):
        return LOST, {}
    except torch.OutOfMemoryError as error:
        return MEMORY, {"message": str(error)}
    except BaseException as error:  # noqa: BLE001 - every failure becomes a word to the child
        traceback.print_exc()
        reason = as_failure(error)
        return BROKEN if reason["code"] == UNFORESEEN else FAILED, {"error": reason}
    return TRAINED, {}


def _train(line: Line) -> None:
    order, *more = _first_words(line)
    attempt = _attempt(order, line)
    attempt.stop_requested = bool(more)
    threading.Thread(target=_listen, args=[attempt, line], name="orders", daemon=True).start()
    spec = asked(attempt)
    group.join(Path(order["store"]), order["number"], order["world"], hardware.device(spec.training))
    base = assemble(attempt, dataset_of(attempt))
    strategy = STRATEGIES[(attempt.row().decision or {})["strategy"]]
    material = fitting.raw(spec.training, base.data, base.network, base.backbone.preprocessing)
    fitting.train(
        attempt, spec, base.data, base.network, strategy, material, order["halvings"], resumed=order["resumed"]
    )


def _first_words(line: Line) -> list[Json]:
    """What to do, and perhaps already that the worker is being stopped."""
    while (said := line.hear()) is not None:
        if said:
            return said
    os._exit(LOST_EXIT)


def _listen(attempt: Attempt, line: Line) -> None:
    """Hear when the worker is being stopped, and end with the child also where the system does not see to that."""
    while (said := line.hear()) is not None:
        attempt.stop_requested = attempt.stop_requested or any(one["say"] == STOP for one in said)
    os._exit(LOST_EXIT)


def _attempt(order: Json, line: Line) -> Attempt:
    settings = WorkerSettings()
    database = Database(settings.resolved_database_url)
    claim, directory = Claim(**order["claim"]), Path(order["directory"])
    if order["number"] == 0:
        return First(database, settings, claim, directory, line)
    return Other(database, settings, claim, directory)


if __name__ == "__main__":
    main(int(sys.argv[1]))
