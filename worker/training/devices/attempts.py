"""The attempt as its ranks see it: the child alone holds the lease, and the first rank alone writes."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from models_store.database.engine import Database
from models_store.database.tables import Json
from models_store.leases import Claim
from worker.attempt import Attempt
from worker.settings import WorkerSettings
from worker.training.devices.line import BEAT, Line

BEAT_SECONDS: Final = 0.5


class First(Attempt):
    """Writes for all under the child's fence, and passes beats on."""

    def __init__(self, database: Database, settings: WorkerSettings, claim: Claim, directory: Path, line: Line) -> None:
        super().__init__(database, settings, claim, directory)
        self._line, self._said_at = line, 0.0

    def _move(self) -> None:
        """Every beat, and every part that the store has got."""
        super()._move()
        if time.monotonic() - self._said_at > BEAT_SECONDS:
            self._line.say(BEAT)
            self._said_at = time.monotonic()


class Other(Attempt):
    """Writes nothing."""

    def progress(self, phase: str, fraction: float, **more: float | int | None) -> None:
        """The first reports it."""

    def persist(self, write: Callable[[], None]) -> None:
        """The first does it."""

    def point_to(self, checkpoint: Json) -> None:
        """The first does it."""
