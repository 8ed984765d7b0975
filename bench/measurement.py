"""One comparison."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Measurement:
    """Ours beside a peer's, in one unit; ``ratio`` is how many times better ours is."""

    what: str
    ours: float
    peer: float
    unit: str
    ratio: float
    aim: float

    @property
    def met(self) -> bool:
        """Whether the aim was reached."""
        return self.ratio >= self.aim

    @property
    def ours_told(self) -> str:
        """Our figure with its unit."""
        return f"{self.ours:.2f} {self.unit}"

    @property
    def peer_told(self) -> str:
        """The peer's figure with its unit."""
        return f"{self.peer:.2f} {self.unit}"
