"""``strategy: auto``: small sets train the head only, large ones everything; between them a probe tells.

How the probe tells. A frozen job learns a linear classifier on features, as the probe does. Of the probe's error some
would go with more examples and some would not, for no straight cut through these features tells those items apart.
Estimation error falls about with the root of the number of examples; so of what remains at n examples, the step from
n/2 to n shows a part: e(n/2) - e(n) = (√2 - 1) e(n). What is left of the error after that is the floor of any head on
these features. Moving the backbone is the only way below it, costs many times the work, and is worth trying where the
floor is clearly above what a few mislabelled items would cause anyway.
"""

import math
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Final, Literal

from models_store.database.tables import Json
from models_store.settings import StoreSettings
from models_store.spec import JobSpec

ROOM: Final = 0.05
"""Share of errors up to which a frozen backbone counts as good enough."""
NOISE: Final = 2.0
"""Standard errors of the validation accuracy by which the floor must be above that."""
_STILL_TO_LEARN: Final = 1.0 / (math.sqrt(2.0) - 1.0)

_NATURES: Final = {
    "freeze": "trains the head alone on features that are computed once: the fastest, and hard to overfit",
    "full": "trains everything with differential rates: the slowest, and the most that the backbone can adapt",
    "gradual": "starts frozen and unfreezes from the top: between freeze and full in cost and in what can change",
    "lora": "trains low-rank adapters in the backbone: adapts it with few parameters and less memory than full",
}


@dataclass(frozen=True)
class Probe:
    """Validation accuracies of simple classifiers on frozen features, 0 to 1.

    ``probe_accuracy`` is of a linear probe on ``probed_examples`` training items, ``probe_accuracy_half`` of one on
    half of them, ``knn_accuracy`` of nearest neighbours; all on the same ``validated_examples`` items.
    """

    probe_accuracy: float
    probe_accuracy_half: float
    knn_accuracy: float
    probed_examples: int
    validated_examples: int

    def as_json(self) -> Json:
        """As the job's ``decision`` shows it."""
        return asdict(self)


@dataclass(frozen=True)
class Known:
    """What is known of a job before it trains.

    ``majority`` is the validation accuracy of the most frequent label alone, where it was looked at. ``probe`` is None
    where none was made.
    """

    examples: int
    classes: int
    majority: float | None
    probe: Probe | None = None

    def as_json(self) -> Json:
        """The evidence as a job shows it; what was not measured is null."""
        measured = self.probe.as_json() if self.probe else {}
        names = ("probe_accuracy", "probe_accuracy_half", "knn_accuracy", "probed_examples", "validated_examples")
        return {
            "training_examples": self.examples,
            "classes": self.classes,
            "majority": None if self.majority is None else round(self.majority, 4),
            **{name: round(measured[name], 4) if measured else None for name in names},
        }


def size(settings: StoreSettings, examples: int) -> Literal["small", "between", "large"]:
    """What the number of training examples alone says."""
    if examples < settings.freeze_below:
        return "small"
    return "large" if examples >= settings.full_from else "between"


def decide(spec: JobSpec, settings: StoreSettings, known: Known, candidates: Collection[str]) -> Json:
    """Choose the strategy and say why.

    Args:
        candidates: the strategies that this backbone can be trained with.

    Returns:
        ``strategy``, ``reason``, ``evidence``, ``alternatives``: what a job shows as its ``decision``.
    """
    strategy, reason = _chosen(spec, settings, known)
    others = [{"strategy": other, "reason": _NATURES[other]} for other in candidates if other != strategy]
    return {"strategy": strategy, "reason": reason, "evidence": known.as_json(), "alternatives": others}


def possible(task: str) -> list[str]:
    """The strategies for a task."""
    return [name for name in _NATURES if name != "lora" or task == "text-classification"]


def floor(probe: Probe) -> float:
    """The share of errors that more examples would not take from a head on these features, as far as the probe tells.

    See the module's text; a curve that falls counts as flat.
    """
    gained = max(0.0, probe.probe_accuracy - probe.probe_accuracy_half)
    return max(0.0, 1.0 - probe.probe_accuracy - _STILL_TO_LEARN * gained)


def leaves_room(probe: Probe) -> bool:
    """Whether the floor is above ``ROOM`` by more than chance."""
    error = 1.0 - probe.probe_accuracy
    deviation = math.sqrt(error * (1.0 - error) / probe.validated_examples)
    return floor(probe) > ROOM + NOISE * deviation


def _chosen(spec: JobSpec, settings: StoreSettings, known: Known) -> tuple[str, str]:
    if spec.strategy != "auto":
        return spec.strategy, "chosen in the request"
    seen = f"{known.examples:,} training examples in {known.classes} classes"
    match size(settings, known.examples):
        case "small":
            return "freeze", (
                f"{seen}: under {settings.freeze_below:,} the backbone stays frozen, "
                f"for so few examples overfit a whole network more easily than they improve it{_measured(known.probe)}"
            )
        case "large":
            return "full", f"{seen}: from {settings.full_from:,} on everything trains; decided by size, without a probe"
        case "between":
            between = f"{seen}, between {settings.freeze_below:,} and {settings.full_from:,}"
            return _by_evidence(between, known.probe)


def _measured(probe: Probe | None) -> str:
    return f"; a linear probe on its features reaches {probe.probe_accuracy:.1%}" if probe else ""


def _by_evidence(between: str, probe: Probe | None) -> tuple[str, str]:
    if probe is None:
        return "freeze", f"{between}: there is no evidence from a probe, so the cheaper strategy is taken"
    curve = (
        f"a linear probe on frozen features reaches {probe.probe_accuracy:.1%}, "
        f"{probe.probe_accuracy_half:.1%} with half of the examples"
    )
    if leaves_room(probe):
        return "full", (
            f"{between}: {curve}; about {floor(probe):.1%} errors would stay with any number of examples "
            "while the backbone is frozen, so it is trained too"
        )
    if 1.0 - probe.probe_accuracy <= ROOM:
        return "freeze", f"{between}: {curve}; that leaves little for training the backbone to gain"
    return "freeze", f"{between}: {curve}; more examples, not a trained backbone, are the likely way to fewer errors"
