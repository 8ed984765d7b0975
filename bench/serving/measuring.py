"""Images and texts at 1 and 16 connections: ours at both precisions beside each peer, load by load in turns."""

import json
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.given import Given
from bench.measurement import Measurement
from bench.serving import alone, environment, samples
from bench.serving.comparing import Results, Who
from bench.serving.load import Load, NoAnswerError, load
from bench.serving.ours import Service, services
from bench.serving.peers import Peer, Serving, all_peers, serving
from bench.serving.samples import Kind
from bench.settling import settle
from demo import pretrained
from finetuned.port import free_port

CONNECTIONS: Final = (1, 16)
_WARM_UP_SECONDS: Final = 2.0
_ALONE_SECONDS: Final = 1.0
_MORE_TRIES: Final = 3

Loads = Callable[[int, float], Load]
"""Of so many connections, for so many seconds."""


def measure(given: Given) -> list[Measurement]:
    """Every cell, each beside the best peer of that cell, and at 16 connections beside the engine alone."""
    python = environment.build(given.cache / "peers")
    results = Results()
    with tempfile.TemporaryDirectory(prefix="bench-serving-") as temporary, services(Path(temporary)) as ours:
        for kind in samples.KINDS:
            _Stage(kind, given, python, Path(temporary), ours, results).play()
    return results.measurements()


@dataclass
class _Stage:
    """All that is measured with one kind of input."""

    kind: Kind
    given: Given
    python: Path
    folder: Path
    ours: dict[str, Service]
    results: Results

    def play(self) -> None:
        """Each peer in turn, then the engine."""
        self._input = samples.photo(self.given.data / "hymenoptera.zip") if self.kind == "image" else samples.TEXT
        self._models = {name: service.train(self.kind, self.given, self.folder) for name, service in self.ours.items()}
        for peer in all_peers(self.given.peers, pretrained.minilm().path, self.given.cache):
            if peer.kind == self.kind:
                self._beside(peer)
        for precision in self.ours:
            self._alone(precision)

    def _beside(self, peer: Peer) -> None:
        with serving(peer, self.python, free_port("127.0.0.1"), self._input, self.folder / "peer.log") as running:
            contestants: dict[str, Loads] = {peer.name: self._peers_loads(peer, running.url)}
            contestants |= {name: _while_paused(running, self._our_loads(name)) for name in self.ours}
            settle(besides=running.pid)
            for loads in contestants.values():
                with suppress(NoAnswerError):  # the first answers may be slow
                    loads(max(CONNECTIONS), _WARM_UP_SECONDS)
            for _ in range(self.given.rounds):
                for connections in CONNECTIONS:
                    for name, loads in contestants.items():
                        done = _loaded(loads, connections, self.given.seconds)
                        self.results.add(Who(self.kind, connections, peer.name, name), done)

    def _alone(self, precision: str) -> None:
        """The engine, and ours again right after it."""
        service, model = self.ours[precision], self._models[precision]
        limit = alone.measure(service.data_dir, model, precision, _ALONE_SECONDS, self.kind, self._input)
        connections = max(CONNECTIONS)
        reached = _loaded(self._our_loads(precision), connections, self.given.seconds)
        served_by = service.served_by(model, precision)
        self.results.limit(self.kind, connections, precision, served_by, limit, reached)

    def _our_loads(self, precision: str) -> Loads:
        service, models = self.ours[precision], [self._models[precision]]
        return lambda connections, seconds: service.load(self._input, models, connections=connections, seconds=seconds)

    def _peers_loads(self, peer: Peer, url: str) -> Loads:
        body, script = self.folder / "peer.json", self.given.peers / "post.lua"
        body.write_text(json.dumps(peer.body(self._input)), "utf-8")
        return lambda connections, seconds: load(
            url, body, connections=connections, seconds=seconds, script=script, environment={}
        )


def _while_paused(peer: Serving, loads: Loads) -> Loads:
    def alone(connections: int, seconds: float) -> Load:
        with peer.paused():
            return loads(connections, seconds)

    return alone


def _loaded(loads: Loads, connections: int, seconds: float) -> Load:
    """One load; longer, where the machine is too slow for even one answer.

    Answers that come sixteen at a time are counted more coarsely, so they are counted for twice as long.
    """
    length = seconds if connections == 1 else 2 * seconds
    for _ in range(_MORE_TRIES):
        with suppress(NoAnswerError):
            return loads(connections, length)
        length *= 2
    return loads(connections, length)
