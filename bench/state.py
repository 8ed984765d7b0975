"""Parts that have ended, kept in a file so that a run that was cut goes on where it was."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from bench.measurement import Measurement


@dataclass(frozen=True)
class Done:
    """What one part measured, how long it took, and on which day; ``failure`` tells why it measured nothing."""

    measurements: list[Measurement]
    seconds: float
    date: str
    failure: str = ""

    @classmethod
    def from_json(cls, written: dict[str, Any]) -> Self:
        """The inverse of ``asdict``."""
        return cls(**{**written, "measurements": [Measurement(**one) for one in written["measurements"]]})


class State:
    """The parts by name; without a file they are kept for this run alone."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        kept = json.loads(file.read_text("utf-8")) if file is not None and file.is_file() else {}
        self.parts = {name: Done.from_json(part) for name, part in kept.items()}

    def ended(self, name: str) -> bool:
        """Whether the part needs no further run; one that failed does."""
        return name in self.parts and not self.parts[name].failure

    def keep(self, name: str, done: Done) -> None:
        """Remember a part; on disk it is there whole or as it was before."""
        self.parts[name] = done
        if self._file is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._file.with_suffix(".new")
        temporary.write_text(json.dumps({key: asdict(part) for key, part in self.parts.items()}, indent=1), "utf-8")
        temporary.replace(self._file)
