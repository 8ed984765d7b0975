"""From the loads of a run to its table: each cell beside the peer that was best in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from bench.measurement import Measurement
from bench.serving.alone import Alone
from bench.serving.load import Load, average
from bench.serving.ours import AUTO, BFLOAT16, FLOAT32
from bench.serving.samples import Kind

AIMS: Final[Mapping[tuple[Kind, int], float]] = {
    ("image", 1): 1.4,
    ("image", 16): 2.0,
    ("text", 1): 2.0,
    ("text", 16): 1.5,
}
"""Times the requests a second of the best peer, in float32."""
AIM_AUTO: Final = 2.5
AIM_ALONE: Final = 0.85
"""Share of what the engine does with nothing around it."""


@dataclass(frozen=True)
class Who:
    """Whose loads: ``peer`` ran at the time; ``loaded`` was that peer, or ours by its precision."""

    kind: Kind
    connections: int
    peer: str
    loaded: str


@dataclass
class Results:
    """All loads of a run."""

    loads: dict[Who, list[Load]] = field(default_factory=dict)
    served_by: dict[tuple[Kind, str], str] = field(default_factory=dict)
    limits: list[Measurement] = field(default_factory=list)

    def add(self, who: Who, load: Load) -> None:
        """One load more."""
        self.loads.setdefault(who, []).append(load)

    def limit(self, kind: Kind, connections: int, precision: str, served_by: str, limit: Alone, reached: Load) -> None:
        """What ours reached beside the engine alone, and by what it was served."""
        self.served_by[kind, precision] = served_by
        beside = f"the engine alone, {limit.size} a batch; preparing an item takes {1000 * limit.preparing:.1f} ms more"
        what = f"{self._what(kind, connections, precision)}: requests/s beside the limit"
        ratio = reached.rate / limit.rate
        self.limits.append(Measurement(what, reached.rate, limit.rate, "/s", ratio, AIM_ALONE, beside))

    def peers(self, kind: Kind, connections: int) -> dict[str, Load]:
        """What each peer did in a cell, the best first."""
        cell = {
            who.peer: average(loads)
            for who, loads in self.loads.items()
            if (who.kind, who.connections, who.loaded) == (kind, connections, who.peer)
        }
        return dict(sorted(cell.items(), key=lambda one: -one[1].rate))

    def measurements(self) -> list[Measurement]:
        """For every cell and precision: requests a second, and the time that 99 % of the requests took at most."""
        rows: list[Measurement] = []
        for kind, connections in AIMS:
            for precision in (FLOAT32, AUTO):
                if (kind, precision) in self.served_by:
                    rows += self._cell(kind, connections, precision)
        return rows + self.limits

    def _cell(self, kind: Kind, connections: int, precision: str) -> list[Measurement]:
        peers = self.peers(kind, connections)
        best, *others = peers
        ours, theirs = average(self.loads[Who(kind, connections, best, precision)]), peers[best]
        what = self._what(kind, connections, precision)
        beside = "; ".join([best, *(f"{name} {peers[name].rate:.1f}" for name in others)])
        aim = AIM_AUTO if self.served_by[kind, precision].endswith(BFLOAT16) else AIMS[kind, connections]
        slowest, their_slowest = 1000 * ours.p99, 1000 * theirs.p99
        return [
            Measurement(f"{what}: requests/s", ours.rate, theirs.rate, "/s", ours.rate / theirs.rate, aim, beside),
            Measurement(f"{what}: p99", slowest, their_slowest, "ms", their_slowest / slowest, 1.0, best),
        ]

    def _what(self, kind: Kind, connections: int, precision: str) -> str:
        several = "s" if connections > 1 else ""
        return f"{kind}s, {connections} connection{several}, {precision} ({self.served_by[kind, precision]})"
