"""``python -m bench.results --data DIR --peers DIR --torch-home DIR``: accuracy and seconds, as ``docs/results.md``.

Cases run through the real service; beside those that are compared, over several seeds, runs the plain loop of the
manual with the same epochs, rates and weights. Rows that are done are kept in ``--state``, so that a run can be cut and
go on.
"""

import argparse
import csv
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from bench import pretrained_home
from bench.cases import CASES, LOOPS_OWN, SEEDS, TEXTS, Case
from demo import pretrained
from demo.service import running
from finetuned import Client

Json = dict[str, Any]
_MINILM: Final = pretrained.minilm()


class Runner:
    """Runs cases in one service and keeps what is done."""

    def __init__(self, client: Client, data: Path, peers: Path, folder: Path, state: Path) -> None:
        self._client, self._data, self._peers, self._folder, self._state = client, data, peers, folder, state
        self._datasets: dict[str, str] = {}
        self.rows: dict[str, Json] = json.loads(state.read_text()) if state.is_file() else {}

    def run(self, case: Case) -> None:
        """All seeds of a case, ours and the peer's in turn."""
        for seed in case.seeds:
            key = f"{case.dataset} {case.backbone} {case.strategy} {case.epochs} {case.pooling} {seed}"
            row = self.rows.setdefault(key, {})
            if "ours" not in row:
                self._keep(key, "ours", self._ours(case, seed))
            if "peer" not in row:
                self._keep(key, "peer", self._peer(case, seed) if case.peer else None)

    def _keep(self, key: str, whose: str, result: Json | None) -> None:
        self.rows[key][whose] = result
        self._state.write_text(json.dumps(self.rows, indent=1))
        print(key, whose, result, flush=True)

    def of(self, case: Case) -> list[Json]:
        """The rows of a case."""
        prefix = f"{case.dataset} {case.backbone} {case.strategy} {case.epochs} {case.pooling} "
        return [row for key, row in self.rows.items() if key.startswith(prefix)]

    def is_done(self, case: Case) -> bool:
        """Whether all seeds of a case were run."""
        rows = self.of(case)
        return len(rows) == len(case.seeds) and all({"ours", "peer"} <= row.keys() for row in rows)

    def _ours(self, case: Case, seed: int) -> Json:
        training = {
            **(LOOPS_OWN if case.peer else {}),
            "max_epochs": case.epochs,
            "early_stopping": None,
            "seed": seed,
            "backbone_lr": case.backbone_lr,
        }
        body: Json = {"backbone": case.backbone, "strategy": case.strategy, "training": training}
        if case.pooling:
            body["preprocessing"] = {"pooling": case.pooling}
        dataset = self._dataset(case)
        started = time.perf_counter()
        job = self._client.wait_job(self._client.create_job(dataset=dataset, **body)["id"])
        seconds = time.perf_counter() - started
        if job["status"] != "succeeded":
            raise RuntimeError(job["error"])
        return {"seconds": round(seconds, 1), "val_accuracy": job["best"]["val_accuracy"]}

    def _dataset(self, case: Case) -> str:
        if case.dataset not in self._datasets:
            uploaded = self._client.upload_dataset(self._file(case))
            ready = self._client.wait_dataset(uploaded["id"])
            if ready["status"] != "ready":
                raise RuntimeError(ready["error"])
            self._datasets[case.dataset] = ready["id"]
        return self._datasets[case.dataset]

    def _file(self, case: Case) -> Path:
        if not case.is_text:
            return self._data / f"{case.dataset}.zip"
        file = self._folder / f"{case.dataset}.zip"
        with zipfile.ZipFile(file, "w") as archive:
            for table in self._tables(case).iterdir():
                archive.write(table, table.name)
        return file

    def _tables(self, case: Case) -> Path:
        """A folder with as many rows of both splits as are used, for both sides."""
        folder = self._folder / case.dataset
        if not folder.is_dir():
            folder.mkdir()
            for split, most in TEXTS.items():
                with (self._data / case.dataset / f"{split}.csv").open(encoding="utf-8", newline="") as source:
                    head, *rows = csv.reader(source)
                chosen = random.Random(0).sample(rows, min(most, len(rows)))
                with (folder / f"{split}.csv").open("w", encoding="utf-8", newline="") as table:
                    csv.writer(table).writerows([head, *chosen])
        return folder

    def _peer(self, case: Case, seed: int) -> Json:
        common = ["--strategy", case.strategy, "--epochs", str(case.epochs), "--seed", str(seed)]
        command = self._text_loop(case) if case.is_text else self._image_loop(case)
        # As the service does: threads that spin while they wait are ruinous where anything else runs on the machine.
        env = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
        done = subprocess.run([sys.executable, *command, *common], capture_output=True, text=True, check=False, env=env)
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        answer: Json = json.loads(done.stdout.splitlines()[-1])
        return {name: answer[name] for name in ("seconds", "val_accuracy")}

    def _text_loop(self, case: Case) -> list[str]:
        folder = self._tables(case)
        files = ["--train", str(folder / "train.csv"), "--validation", str(folder / "val.csv")]
        return ["-m", "bench.text_loop", "--model", str(_MINILM.path), *files, "--backbone-lr", str(case.backbone_lr)]

    def _image_loop(self, case: Case) -> list[str]:
        images = self._folder / case.dataset
        if not images.is_dir():
            with zipfile.ZipFile(self._data / f"{case.dataset}.zip") as archive:
                archive.extractall(images)
        return [str(self._peers / "manual_loop.py"), "--data", str(images), "--arch", case.backbone.rpartition("/")[2]]


def main() -> int:
    """Entry point; fails when an accuracy lies further below the peer's than its noise."""
    chosen = _arguments()
    with tempfile.TemporaryDirectory(prefix="results-") as temporary:
        folder = Path(temporary)
        os.environ["TORCH_HOME"] = str(pretrained_home.build(folder / "torch", chosen.torch_home))
        with running(folder / "data", folder / "logs") as client:
            for weights in (pretrained.efficientnet_lite0(), _MINILM):
                client.add_weights(weights.backbone, weights.path, weights.name)
            runner = Runner(client, chosen.data.resolve(), chosen.peers.resolve(), folder, chosen.state)
            for case in CASES:
                runner.run(case)
                chosen.output.write_text(document(runner), encoding="utf-8")  # what is done, should this be cut
    return 0 if all(not_lower(runner.of(case)) for case in CASES if case.peer) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the data sets")
    parser.add_argument("--peers", type=Path, required=True, help="folder with manual_loop.py")
    parser.add_argument("--torch-home", type=Path, required=True, help="TORCH_HOME with SqueezeNet's weights")
    parser.add_argument("--state", type=Path, default=Path("results.json"), help="what is done already")
    parser.add_argument("--output", type=Path, default=Path("docs/results.md"))
    return parser.parse_args()


def not_lower(rows: list[Json]) -> bool:
    """Whether our mean accuracy is at most twice the peer's standard error, and at least half a point, below its."""
    ours = statistics.mean(row["ours"]["val_accuracy"] for row in rows)
    peers = [row["peer"]["val_accuracy"] for row in rows]
    noise = max(2 * statistics.stdev(peers) / len(peers) ** 0.5, 0.005)
    return bool(ours >= statistics.mean(peers) - noise)


def document(runner: Runner) -> str:
    """The page, with everything that decides the figures."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "torchvision", "timm", "transformers"))
    head = _HEAD.format(
        date=datetime.now(UTC).date(),
        cores=os.cpu_count(),
        libraries=libraries,
        seeds=len(SEEDS),
        texts=TEXTS["train"],
        held=TEXTS["val"],
    )
    return head + "\n".join(_line(case, runner.of(case)) for case in CASES if runner.is_done(case)) + "\n"


_HEAD = """# Results

Accuracy on the validation split and seconds, mean ± standard deviation over {seeds} seeds, measured on {date} on
{cores} CPU cores without a GPU ({libraries}) by `python -m bench.results`. Ours is the whole job from `POST /jobs` to
`succeeded`, at the best epoch, with its report and its parity check. Features are cached for the later seeds, as they
are for a user's later jobs: the seconds of the first seed, which computes them, stand in brackets. The plain loop
beside it, with the same weights, epochs, batches, optimizer and constant rates, is the training alone: for images the
customer's loop of the manual (pattern B), for texts the same for `[CLS]` (pattern C, `bench/text_loop.py`). Both run
one after the other in one run, with threads that sleep while they wait. Other work ran on the machine as well, so the
accuracies are the result here and the seconds only an order of magnitude: what is fast, and how much, is measured on
a quiet machine in [performance.md](performance.md). Of the texts, {texts} rows train and {held} validate, the same on
both sides. Where a column is empty, no plain loop is given, and the service trains by its defaults, once. "Not lower"
means: our mean is not below the loop's by more than two of its standard errors (at least half a point). "Times as
fast" compares the first seeds.

| data set | backbone | strategy | epochs | accuracy | plain loop | not lower | seconds (first) | loop | times as fast |
| --- | --- | --- | ---: | ---: | ---: | --- | ---: | ---: | ---: |
"""


def _line(case: Case, rows: list[Json]) -> str:
    pooling = f", {case.pooling}" if case.pooling else ""
    ours, peers = [row["ours"] for row in rows], [row["peer"] for row in rows if row["peer"]]
    cells = [
        case.dataset,
        f"{case.backbone}{pooling}",
        case.strategy,
        str(case.epochs),
        _spread(ours, "val_accuracy", 3),
    ]
    seconds = f"{_spread(ours, 'seconds', 0)} ({ours[0]['seconds']:.0f})"
    if not peers:
        return "| " + " | ".join([*cells, "", "", seconds, "", ""]) + " |"
    verdict = "yes" if not_lower(rows) else "**no**"
    faster = peers[0]["seconds"] / ours[0]["seconds"]
    last = [_spread(peers, "val_accuracy", 3), verdict, seconds, _spread(peers, "seconds", 0), f"{faster:.1f}"]
    return "| " + " | ".join([*cells, *last]) + " |"


def _spread(values: list[Json], name: str, digits: int) -> str:
    figures = [float(value[name]) for value in values]
    if len(figures) == 1:
        return f"{figures[0]:.{digits}f}"
    return f"{statistics.mean(figures):.{digits}f} ± {statistics.stdev(figures):.{digits}f}"


if __name__ == "__main__":
    sys.exit(main())
