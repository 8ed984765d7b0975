"""``precision: auto`` on a CPU: bfloat16 where the CPU computes with it, and it is faster here, and the loss agrees.

On a GPU mixed precision is taken wherever the device has it; see :mod:`worker.training.hardware`.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from models_store.backbones.family import Batch
from models_store.database.tables import Json
from worker.training.trial import Trial

FASTER: Final = 1.2
"""How many times faster bfloat16 must be: less is within the noise of a busy machine."""
LOSS_TOLERANCE: Final = 0.02
"""The relative difference of the mean losses up to which they agree."""
WARM_UP: Final = 1
"""Steps that are not timed: the first ones choose and pack kernels."""
BATCHES: Final = 4
"""With the warm-up."""
ITEMS: Final = 16
"""Most items of a batch; the ratio of the two hardly depends on it, the time that measuring takes does."""
WORTH_IT: Final = 20
"""Training steps from which on measuring pays: it takes as long as two to four of 32 items."""


@dataclass(frozen=True)
class Comparison:
    """Seconds a training step (the quickest seen) and the mean loss of the same steps in both precisions.

    The seconds are processor time, of all threads together: on a busy machine time by the clock says little.
    """

    seconds_32: float
    seconds_bf16: float
    loss_32: float
    loss_bf16: float

    def as_json(self) -> Json:
        """For the job's log."""
        return {name: round(value, 5) for name, value in asdict(self).items()}


def choose(measured: Comparison) -> tuple[str, str]:
    """The precision, and why, in words for the job's history."""
    gain = measured.seconds_32 / max(1e-9, measured.seconds_bf16)
    apart = abs(measured.loss_bf16 - measured.loss_32) / max(1e-12, abs(measured.loss_32))
    figures = (
        f"a step takes {measured.seconds_bf16:.3f} s of the processors in bf16-mixed "
        f"and {measured.seconds_32:.3f} s in 32, the losses are {measured.loss_bf16:.4f} and {measured.loss_32:.4f}"
    )
    if not apart <= LOSS_TOLERANCE:
        return "32", f"{figures}: they differ by more than {LOSS_TOLERANCE:.0%}"
    if gain < FASTER:
        return "32", f"{figures}: that is not {FASTER} times faster"
    return "bf16-mixed", f"{figures}: {gain:.1f} times faster, and they agree"


def compare(make: Callable[[str], Trial], batches: Sequence[Batch], on_step: Callable[[], None]) -> Comparison:
    """Train on the same batches in one precision, then in the other.

    Args:
        make: a trial in this precision, all from the same weights.
        batches: more than ``WARM_UP``.
        on_step: called before each step; may raise to stop.
    """
    seconds_32, loss_32 = _run(make("32"), batches, on_step)
    seconds_bf16, loss_bf16 = _run(make("bf16-mixed"), batches, on_step)
    return Comparison(seconds_32, seconds_bf16, loss_32, loss_bf16)


def _run(trial: Trial, batches: Sequence[Batch], on_step: Callable[[], None]) -> tuple[float, float]:
    """Seconds of the quickest timed step, and the mean loss."""
    seconds, losses = [], []
    with trial:
        for batch in batches:
            on_step()
            began = time.process_time()
            losses.append(trial.step(batch))
            seconds.append(time.process_time() - began)
    return min(seconds[WARM_UP:]), sum(losses) / len(losses)
