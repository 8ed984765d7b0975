"""What every part is given."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Given:
    """Folders that are not part of this project, one for what the bench makes, and how long a load lasts."""

    data: Path
    peers: Path
    torch_home: Path
    cache: Path
    """Kept between runs: the peers' virtual environment."""
    seconds: float = 3.0
    """Of one load by one connection; several have twice as long."""
    rounds: int = 2
    """Loads of each cell, in turns with its peer."""
