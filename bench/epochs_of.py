"""Run a script that trains with Lightning, as it is, and tell how long each of its epochs took.

    python -m bench.epochs_of SCRIPT ARGUMENT...

A callback is added to every Trainer that the script makes. Prints one JSON line after all that the script prints.
"""

import json
import runpy
import sys
import time
from typing import Any

import pytorch_lightning as pl


class Clock(pl.Callback):
    """Notes the seconds from the end of one epoch, its validation included, to that of the next."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._last = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The first epoch begins."""
        del trainer, pl_module
        self._last = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """One more is over."""
        del trainer, pl_module
        now = time.perf_counter()
        self.seconds.append(now - self._last)
        self._last = now


def main() -> None:
    """Run the script of the command line in this process, as if it had been called itself."""
    clock, original = Clock(), pl.Trainer

    def timed(**options: Any) -> pl.Trainer:
        return original(**{**options, "callbacks": [*options.get("callbacks", []), clock]})

    pl.Trainer = timed  # type: ignore[assignment, misc]  # the script is not ours to change
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
    print(json.dumps({"epoch_seconds": clock.seconds}))


if __name__ == "__main__":
    main()
