"""One comparison."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Measurement:
    """Ours beside a peer's, in one unit; ``ratio`` is compared with ``aim``.

    By default the ratio says how many times better ours is and must reach the aim. With ``at_most`` it says how much
    more ours takes and must not pass it. ``beside`` names what stands in the peer's place.
    """

    what: str
    ours: float
    peer: float
    unit: str
    ratio: float
    aim: float
    beside: str = ""
    at_most: bool = False

    @classmethod
    def within(cls, what: str, ours: float, limit: float, unit: str) -> Self:
        """A figure that has a limit of its own, such as 50 ms, and no peer."""
        return cls(what, ours, limit, unit, limit / max(ours, 1e-9), 1.0, "the limit")

    @property
    def met(self) -> bool:
        """Whether the aim was reached."""
        return self.ratio <= self.aim if self.at_most else self.ratio >= self.aim

    @property
    def ours_told(self) -> str:
        """Our figure with its unit."""
        return f"{self.ours:.2f} {self.unit}".strip()

    @property
    def peer_told(self) -> str:
        """The peer's figure with its unit, and who it is."""
        told = f"{self.peer:.2f} {self.unit}".strip()
        return f"{told} ({self.beside})" if self.beside else told

    @property
    def aim_told(self) -> str:
        """What the ratio must be."""
        return f"{'≤' if self.at_most else '≥'} {self.aim:.2f}"
