"""Frozen jobs, from ``POST /jobs`` to ``succeeded``, beside the plain Lightning loop of the manual.

The peer's seconds are its training alone, without its imports; ours are the whole job with report and parity check.
The peer runs once: its accuracy over three seeds is in ``docs/results.md``.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any, Final

from bench import pretrained_home
from bench.given import Given
from bench.measurement import Measurement
from bench.settling import settle
from demo.service import running
from finetuned import Client

ARCHITECTURE: Final = "mobilenet_v2"
EPOCHS: Final = 10
MANY_EPOCHS: Final = 100
SEEDS: Final = (0, 1, 2)
AIM: Final = 15.0
"""Times as fast as the peer."""
NOISE: Final = 0.01
"""Share of the peer's accuracy by which we may stay behind."""
MOST_FOR_MANY: Final = 1.5
"""Times the seconds of ten epochs that a hundred may take."""


@dataclass(frozen=True)
class Run:
    """One training: ``computed`` is the number of items that the backbone ran over (-1: not told)."""

    seconds: float
    accuracy: float
    computed: int = -1


def measure(given: Given) -> list[Measurement]:
    """Ours over three seeds, of which the later ones find the features of the first; a hundred epochs; the peer."""
    with tempfile.TemporaryDirectory(prefix="bench-frozen-") as temporary:
        folder = Path(temporary)
        home = str(pretrained_home.build(folder / "torch", given.torch_home))
        with _service(folder / "ten", given.data, home) as (client, dataset):
            runs = [_ours(client, dataset, EPOCHS, seed) for seed in SEEDS]
        with _service(folder / "hundred", given.data, home) as (client, dataset):
            many = _ours(client, dataset, MANY_EPOCHS, SEEDS[0])
        peer = _peer(folder / "images", given, home)
    return compared(runs, many, peer)


def compared(runs: list[Run], many: Run, peer: Run) -> list[Measurement]:
    """The rows; the first of the runs and ``many`` began with nothing computed."""
    first, second = runs[:2]
    what = f"frozen job, {ARCHITECTURE}, {EPOCHS} epochs"
    accuracy = mean(run.accuracy for run in runs)
    again = f"{what}, the second on its data and trunk"
    return [
        Measurement(what, first.seconds, peer.seconds, "s", peer.seconds / first.seconds, AIM, "manual_loop.py"),
        Measurement(
            f"{what}: accuracy, mean of {len(runs)} seeds",
            accuracy,
            peer.accuracy,
            "",
            accuracy / peer.accuracy,
            1 - NOISE,
            "manual_loop.py, 1 seed",
        ),
        Measurement(
            f"frozen job, {ARCHITECTURE}, {MANY_EPOCHS} epochs",
            many.seconds,
            first.seconds,
            "s",
            many.seconds / first.seconds,
            MOST_FOR_MANY,
            f"{EPOCHS} epochs",
            at_most=True,
        ),
        Measurement(
            f"{again}: items that the backbone ran over",
            second.computed,
            first.computed,
            "",
            second.computed / first.computed,
            0.0,
            "the first",
            at_most=True,
        ),
        Measurement(again, second.seconds, first.seconds, "s", first.seconds / second.seconds, 1.0, "the first"),
    ]


def computed(events: list[dict[str, Any]]) -> int:
    """Items that the backbone ran over, by what the job's history says of its features.

    Raises:
        RuntimeError: it says nothing.
    """
    counts = [event["data"]["computed"] for event in events if "computed" in event["data"]]
    if not counts:
        raise RuntimeError("The job does not say how many features it has computed.")
    return int(sum(counts))


@contextmanager
def _service(folder: Path, data: Path, torch_home: str) -> Iterator[tuple[Client, str]]:
    """A service that has seen nothing yet, and its data set."""
    with running(folder / "data", folder / "logs", {"TORCH_HOME": torch_home}) as client:
        yield client, client.upload_dataset(data / "hymenoptera.zip")["id"]


def _ours(client: Client, dataset: str, epochs: int, seed: int) -> Run:
    settle()
    training = {"max_epochs": epochs, "early_stopping": None, "seed": seed}
    backbone = f"torchvision/{ARCHITECTURE}"
    started = time.perf_counter()
    posted = client.create_job(dataset=dataset, backbone=backbone, strategy="freeze", training=training)
    job = client.wait_job(posted["id"])
    seconds = time.perf_counter() - started
    if job["status"] != "succeeded":
        raise RuntimeError(job["error"])
    events = [event.raw for event in client.job_events(job["id"])]
    return Run(seconds, float(job["best"]["val_accuracy"]), computed(events))


def _peer(images: Path, given: Given, torch_home: str) -> Run:
    with zipfile.ZipFile(given.data / "hymenoptera.zip") as archive:
        archive.extractall(images)
    loop = [sys.executable, str(given.peers / "manual_loop.py"), "--data", str(images), "--arch", ARCHITECTURE]
    command = [*loop, "--epochs", str(EPOCHS), "--seed", str(SEEDS[0])]
    environment = {**os.environ, "TORCH_HOME": torch_home}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(ended.stderr[-2000:])
    result = json.loads(ended.stdout.splitlines()[-1])
    return Run(float(result["seconds"]), float(result["val_accuracy"]))
