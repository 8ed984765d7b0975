"""``python -m bench.under_attack``: predictions of one user, beside attacks by others.

Prints what the user's predictions take, alone and under each attack, and the memory that the API's process comes to.
The aim: the slowest percent takes at most twice as long, and memory stays bounded. Not a part of ``make bench``: it
needs a machine that does nothing else, and says nothing about speed.
"""

import argparse
import contextlib
import io
import json
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import psutil
from PIL import Image

from bench.attacks import KINDS
from bench.serving.load import Load, LoadError, load
from bench.serving.ours import SCRIPT
from bench.serving.samples import TEXT
from bench.settling import settle
from demo import pretrained
from demo.service import running
from finetuned import Client, keyfile

MOST_TIMES: Final = 2.0
MOST_MEMORY: Final = 2048.0
"""MiB beyond what the process held before: a few pictures of the largest size, decoded."""
_CONNECTIONS: Final = 4
_WARM_UP_SECONDS: Final = 3.0
_LIMITS: Final = {"FINETUNED_MAX_UPLOAD_BYTES": "200000000"}
_TRAINING: Final = {"max_epochs": 3, "early_stopping": None}


@dataclass(frozen=True)
class Beside:
    """A load, and the most that the API's process held meanwhile, in MiB."""

    load: Load
    memory: float


class Victim:
    """A user with a model for texts, who asks it without pause."""

    def __init__(self, url: str, key: str, model: str, folder: Path) -> None:
        self._url, self._key, self._folder = url, key, folder
        (folder / "body.json").write_text(json.dumps({"model": "MODEL", "inputs": [TEXT]}), "utf-8")
        (folder / "models.txt").write_text(f"{model}\n", "utf-8")
        self._process = _listening(url)

    def asks(self, seconds: float) -> Beside:
        """So long."""
        environment = {"AUTH": f"Bearer {self._key}", "MODELS": str(self._folder / "models.txt")}
        body, url = self._folder / "body.json", f"{self._url}/predict"
        with _watched(self._process) as most:
            found = load(url, body, connections=_CONNECTIONS, seconds=seconds, script=SCRIPT, environment=environment)
        return Beside(found, most[0])


def main() -> int:
    """Entry point; fails where an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each load")
    parser.add_argument("--only", type=lambda text: text.split(","), default=[*KINDS], help=f"of {','.join(KINDS)}")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-attack-") as temporary:
        folder = Path(temporary)
        with running(folder / "data", folder / "logs", _LIMITS) as admin, ExitStack() as stack:
            key = keyfile.read(folder / "data")
            victim = _victim(admin, _key(admin.url, key, "victim"), folder, stack)
            attacker = _attacker(_key(admin.url, key, "attacker"), admin.url, folder, stack)
            settle()
            return _measured(victim, attacker, chosen.only, chosen.seconds)


def _measured(victim: Victim, attacker: Sequence[str], kinds: Sequence[str], seconds: float) -> int:
    victim.asks(_WARM_UP_SECONDS)
    alone = victim.asks(seconds)
    _tell("alone", alone, alone)
    missed = 0
    for attack in [*([one] for one in kinds), [*kinds]]:
        name = attack[0] if len(attack) == 1 else "all at once"
        try:
            with _attacks(attack, attacker):
                beside = victim.asks(seconds)
        except LoadError as error:
            print(f"{name}: {error}", flush=True)
            missed += 1
            continue
        _tell(name, beside, alone)
        slower = beside.load.p99 > MOST_TIMES * alone.load.p99
        missed += slower or beside.memory > alone.memory + MOST_MEMORY
        with contextlib.suppress(TimeoutError):
            settle()
    _tell("alone again", victim.asks(seconds), alone)
    return 1 if missed else 0


def _tell(name: str, beside: Beside, alone: Beside) -> None:
    found, times = beside.load, beside.load.p99 / alone.load.p99
    took = f"half within {found.p50 * 1000:.1f} ms, 99 % within {found.p99 * 1000:.1f} ms ({times:.2f} times)"
    print(f"{name}: {found.rate:.0f} requests/s, {took}, memory {beside.memory:.0f} MiB", flush=True)


def _key(url: str, admins: str | None, owner: str) -> str:
    """A new user's."""
    made = httpx.post(f"{url}/keys", json={"owner": owner}, headers={"Authorization": f"Bearer {admins}"})
    return str(made.raise_for_status().json()["key"])


def _victim(admin: Client, key: str, folder: Path, stack: ExitStack) -> Victim:
    client = stack.enter_context(Client(admin.url, key))
    weights = pretrained.minilm()
    admin.add_weights(weights.backbone, weights.path, weights.name)
    file = folder / "texts.csv"
    words = {"praise": "wonderful", "blame": "dreadful"}
    rows = [f"a {word} film of number {n},{label}" for label, word in words.items() for n in range(20)]
    file.write_text("\n".join(["text,label", *rows]), "utf-8")
    model = _trained(client, file, backbone=weights.backbone)
    return Victim(admin.url, key, model, folder)


def _attacker(key: str, url: str, folder: Path, stack: ExitStack) -> list[str]:
    """Address, key and model."""
    client = stack.enter_context(Client(url, key))
    file = folder / "pictures.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(20):
            buffer = io.BytesIO()
            Image.new("L", (64, 64), 250 if number % 2 else 5 + number).save(buffer, "PNG")
            archive.writestr(f"{'light' if number % 2 else 'dark'}/{number}.png", buffer.getvalue())
    model = _trained(client, file, backbone="torchvision/squeezenet1_1", weights=None)
    return [url, key, model]


def _trained(client: Client, file: Path, **job: Any) -> str:
    dataset = client.upload_dataset(file)
    made = client.create_job(dataset=dataset["id"], strategy="freeze", training=_TRAINING, **job)
    ended = client.wait_job(made["id"])
    if ended["status"] != "succeeded":
        raise RuntimeError(f"The job ended as {ended['status']}: {ended['error']}")
    return str(ended["model"])


@contextmanager
def _attacks(kinds: Sequence[str], attacker: Sequence[str]) -> Iterator[None]:
    """Each in a process of its own, from before the block to its end."""
    processes = [subprocess.Popen([sys.executable, "-m", "bench.attacks", kind, *attacker]) for kind in kinds]
    try:
        threading.Event().wait(2.0)  # until they are in full swing
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


@contextmanager
def _watched(process: psutil.Process) -> Iterator[list[float]]:
    """The most memory that the process holds during the block, in MiB."""
    most, ended = [0.0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.1):
            most[0] = max(most[0], process.memory_info().rss / 2**20)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield most
    finally:
        ended.set()
        thread.join()


def _listening(url: str) -> psutil.Process:
    port = int(url.rpartition(":")[2])
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if any(one.laddr.port == port for one in process.net_connections("tcp") if one.status == "LISTEN"):
                return process
    raise RuntimeError(f"No process of ours listens at {url}.")


if __name__ == "__main__":
    sys.exit(main())
