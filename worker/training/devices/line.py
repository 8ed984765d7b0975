"""How a rank and the child that started it talk: a JSON object a line, over a socket pair."""

import json
import socket
from typing import Final

from models_store.database.tables import Json

TRAIN: Final = "train"
STOP: Final = "stop"
BEAT: Final = "beat"

TRAINED: Final = "trained"
MEMORY: Final = "memory"
"""Its device had too little."""
FAILED: Final = "failed"
"""For a reason that is the job's owner's to know."""
STOPPED: Final = "stopped"
LOST: Final = "lost"
"""The job is another attempt's, or the database does not answer."""
DIED: Final = "died"
"""Nothing was said: the process is gone."""
BROKEN: Final = "broken"
"""For a reason that nobody foresaw, which may be no more than that another rank is gone."""


class Line:
    """One end; each side has one thread that says and one that hears."""

    def __init__(self, end: socket.socket) -> None:
        self._end, self._rest = end, b""

    def fileno(self) -> int:
        """To wait on until there is something to hear."""
        return self._end.fileno()

    def say(self, word: str, **more: object) -> None:
        """Send one.

        Raises:
            OSError: nobody is there any more.
        """
        self._end.sendall(json.dumps({"say": word, **more}).encode() + b"\n")

    def hear(self) -> list[Json] | None:
        """What has come since, waiting for something to come; None where nothing will."""
        try:
            some = self._end.recv(65536)
        except ConnectionError:
            return None
        if not some:
            return None
        *lines, self._rest = (self._rest + some).split(b"\n")
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        """End it."""
        self._end.close()
