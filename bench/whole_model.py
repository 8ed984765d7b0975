"""A whole-model training beside the manual's Lightning loop and beside a plain PyTorch loop that was tuned by hand.

What is compared is images a second, training and validation together, in the quickest epoch after the first; start-up
and all that follows the training are left out. An epoch's time is what each side tells itself:

- ours, through the real service, all settings but the epochs by default (so ``precision: auto`` has measured before):
  the time between the events of two epochs' ends;
- the manual's loop runs as it is with a callback that notes its epochs' ends (:mod:`bench.epochs_of`);
- the tuned loop (:mod:`bench.tuned_loop`) tells each epoch.

Ours and the tuned loop run twice in turns, and the quicker run of each counts: they are to differ by less than a
machine does from one minute to the next.

All begin with the same random weights of ResNet-18, written as a checkpoint where torchvision looks for its own: the
speed is the same, and nothing has to be fetched.
"""

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import torch
from torchvision import models

from bench.given import Given
from bench.measurement import Measurement
from bench.settling import settle
from demo.service import running
from finetuned import Client
from models_store import processors

EPOCHS: Final = 2
ROUNDS: Final = 2
AIM_MANUAL: Final = 2.0
"""Times the manual's images a second, where the CPU computes in bfloat16, which the manual's loop does not use."""
AIM_MANUAL_FLOAT32: Final = 1.0
"""Where it does not: to be no slower."""
AIM_TUNED: Final = 0.95
"""Share of the tuned loop's."""
_ARCHITECTURE: Final = "resnet18"
_SHORTEST_SECONDS: Final = 1.0
"""A job tells its epochs at most once a second."""
_ROOT: Final = Path(__file__).parent.parent


def measure(given: Given) -> list[Measurement]:
    """Ours, the tuned loop, the manual's loop, one after another on an otherwise idle machine."""
    with tempfile.TemporaryDirectory(prefix="bench-whole-") as temporary:
        folder = Path(temporary)
        home = _torch_home(folder / "torch")
        archive = given.data / "hymenoptera.zip"
        with zipfile.ZipFile(archive) as file:
            file.extractall(folder / "images")
        ours, tuned = [], []
        for number in range(ROUNDS):
            ours.append(_ours(folder / f"service-{number}", archive, home))
            tuned.append(_peer(["-m", "bench.tuned_loop"], folder / "images", home))
        loop = [str(given.peers / "manual_loop.py"), "--strategy", "full"]
        manual = _peer(["-m", "bench.epochs_of", *loop], folder / "images", home)
    return compared(max(ours), manual, max(tuned), bfloat16=processors.has_bfloat16())


def compared(ours: float, manual: float, tuned: float, *, bfloat16: bool) -> list[Measurement]:
    """The rows, of images a second."""
    what = f"whole-model training, {_ARCHITECTURE}, {EPOCHS} epochs, {'bfloat16' if bfloat16 else 'float32'}"
    aim = AIM_MANUAL if bfloat16 else AIM_MANUAL_FLOAT32
    return [
        Measurement(what, ours, manual, "images/s", ours / manual, aim, "the manual's loop"),
        Measurement(what, ours, tuned, "images/s", ours / tuned, AIM_TUNED, "a hand-tuned PyTorch loop"),
    ]


def _torch_home(folder: Path) -> Path:
    checkpoints = folder / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    torch.manual_seed(0)
    weights = models.get_model_weights(_ARCHITECTURE).DEFAULT
    torch.save(models.get_model(_ARCHITECTURE).state_dict(), checkpoints / Path(weights.url).name)
    return folder


def _ours(folder: Path, archive: Path, home: Path) -> float:
    with running(folder / "data", folder / "logs", {"TORCH_HOME": str(home)}) as client:
        dataset = client.upload_dataset(archive)
        settle()
        events = _events(client, dataset["id"])
    return _rate(epoch_seconds(events), sum(dataset["splits"][split] for split in ("train", "validation")))


def _events(client: Client, dataset: str) -> list[dict[str, Any]]:
    training = {"max_epochs": EPOCHS, "early_stopping": None}
    backbone = f"torchvision/{_ARCHITECTURE}"
    posted = client.create_job(dataset=dataset, backbone=backbone, strategy="full", training=training)
    job = client.wait_job(posted["id"])
    if job["status"] != "succeeded":
        raise RuntimeError(job["error"])
    return [event.raw for event in client.job_events(job["id"])]


def epoch_seconds(events: list[dict[str, Any]]) -> list[float]:
    """Of each epoch after the first, by the events in which a job tells its epochs.

    Raises:
        ValueError: epochs so short that they are told together.
    """
    ends = [datetime.fromisoformat(event["created_at"]) for event in events if event["type"] == "metrics"]
    seconds = [(end - before).total_seconds() for before, end in pairwise(ends)]
    if min(seconds, default=0.0) < _SHORTEST_SECONDS:
        raise ValueError(f"Epochs must take {_SHORTEST_SECONDS} s each to be told one by one: {seconds}")
    return seconds


def _peer(script: list[str], images: Path, home: Path) -> float:
    command = [sys.executable, *script, "--data", str(images), "--arch", _ARCHITECTURE, "--epochs", str(EPOCHS)]
    environment = {**os.environ, "TORCH_HOME": str(home)}
    answer = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=_ROOT)
    seconds = json.loads(answer.stdout.splitlines()[-1])["epoch_seconds"]
    return _rate(seconds[1:], sum(1 for file in images.rglob("*") if file.is_file()))


def _rate(seconds: list[float], images: int) -> float:
    """Images a second: what disturbs a machine only ever makes an epoch longer."""
    return images / min(seconds)
