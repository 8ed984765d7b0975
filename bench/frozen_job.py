"""A frozen job of ten epochs, from ``POST /jobs`` to ``succeeded``, beside the plain Lightning loop of the manual."""

import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from bench.measurement import Measurement
from demo.service import running

ARCHITECTURE = "squeezenet1_1"
EPOCHS = 10
AIM = 15.0
"""Times as fast as the peer."""
NOISE = 0.01
"""Accuracy by which we may stay behind the peer."""


def measure(data: Path, peers: Path, torch_home: Path) -> list[Measurement]:
    """Run both on hymenoptera and compare seconds and accuracy."""
    os.environ["TORCH_HOME"] = str(torch_home.resolve())
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        seconds, accuracy = _ours(Path(folder), data / "hymenoptera.zip")
        peer_seconds, peer_accuracy = _peer(Path(folder), data / "hymenoptera.zip", peers / "manual_loop.py")
    what = f"frozen job, {ARCHITECTURE}, {EPOCHS} epochs"
    return [
        Measurement(what, seconds, peer_seconds, "s", peer_seconds / seconds, AIM),
        Measurement(f"{what}: accuracy", accuracy, peer_accuracy, "", accuracy / peer_accuracy, 1 - NOISE),
    ]


def _ours(folder: Path, data: Path) -> tuple[float, float]:
    with running(folder / "data", folder / "logs") as client:
        dataset = client.upload_dataset(data)["id"]
        training = {"max_epochs": EPOCHS, "early_stopping": None}
        started = time.perf_counter()
        posted = client.create_job(
            dataset=dataset, backbone=f"torchvision/{ARCHITECTURE}", strategy="freeze", training=training
        )
        job = client.wait_job(posted["id"])
        seconds = time.perf_counter() - started
    if job["status"] != "succeeded":
        raise RuntimeError(job["error"])
    return seconds, float(job["best"]["val_accuracy"])


def _peer(folder: Path, data: Path, loop: Path) -> tuple[float, float]:
    with zipfile.ZipFile(data) as archive:
        archive.extractall(folder / "images")
    command = [sys.executable, str(loop), "--data", str(folder / "images"), "--arch", ARCHITECTURE]
    answer = subprocess.run([*command, "--epochs", str(EPOCHS)], capture_output=True, text=True, check=True)
    result = json.loads(answer.stdout.splitlines()[-1])
    return float(result["seconds"]), float(result["val_accuracy"])
