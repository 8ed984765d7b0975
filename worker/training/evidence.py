"""What frozen features are worth for a task: a linear probe, its learning curve, and nearest neighbours.

Linear probes: Alain and Bengio 2016, "Understanding intermediate layers using linear classifier probes"; the probe is
logistic regression, as is the head that a frozen job trains. Neighbours: the vote of Wu et al. 2018, weighted by
similarity.
"""

from collections.abc import Callable
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor, nn

from models_store.decision import Probe
from worker.training.data import FeatureRows
from worker.training.hardware import threads_for

NEIGHBOURS: Final = 10
PENALTIES: Final = (1.0, 1e-1, 1e-2, 1e-3)
"""Weight decays to choose from, for standardised features; from strong to weak, each starts where the last ended."""
ITERATIONS: Final = 50
_TEMPERATURE: Final = 0.07


def majority(train: Tensor, validation: Tensor) -> float:
    """Validation accuracy of always giving the training set's most frequent label."""
    return float((validation == train.mode().values).float().mean())


def probe(train: FeatureRows, validation: FeatureRows, classes: int, on_step: Callable[[], None]) -> Probe | None:
    """Measure; None where the features are not finite and therefore tell nothing.

    Args:
        train: in an order of which the first half is a sample too.
        on_step: called at every iteration; may raise to stop.
    """
    with threads_for(train.features.numel() * classes):
        return _probe(train, validation, classes, on_step)


def _probe(train: FeatureRows, validation: FeatureRows, classes: int, on_step: Callable[[], None]) -> Probe | None:
    inputs, others = _standardised(train.features, validation.features)
    if not (inputs.isfinite().all() and others.isfinite().all()):
        return None
    half = len(inputs) - len(inputs) // 2
    penalty = _penalty(inputs, train.labels, half, classes, on_step)

    def accuracy(rows: int) -> float:
        linear = _fitted(_linear(inputs, classes), inputs[:rows], train.labels[:rows], penalty, on_step)
        return _agreement(linear(others), validation.labels)

    return Probe(
        probe_accuracy=accuracy(len(inputs)),
        probe_accuracy_half=accuracy(half),
        knn_accuracy=_agreement(_votes(inputs, train.labels, others, classes), validation.labels),
        probed_examples=len(inputs),
        validated_examples=len(others),
    )


def _standardised(train: Tensor, validation: Tensor) -> tuple[Tensor, Tensor]:
    """Both with the training items' mean 0 and deviation 1 a feature; features that do not vary become 0."""
    deviation, mean = torch.std_mean(train, dim=0, correction=0)
    varies = deviation > 1e-5 * mean.abs()  # less is rounding
    scale = torch.where(varies, 1.0 / deviation, torch.zeros(()))
    return (train - mean) * scale, (validation - mean) * scale


def _penalty(inputs: Tensor, labels: Tensor, half: int, classes: int, on_step: Callable[[], None]) -> float:
    """The weight decay with which one half of the training items tells the other half's labels best.

    Validation items have no part in it. Of equals the strongest.
    """
    linear = _linear(inputs, classes)
    best, most = PENALTIES[0], -1.0
    for penalty in PENALTIES:
        _fitted(linear, inputs[:half], labels[:half], penalty, on_step)
        right = _agreement(linear(inputs[half:]), labels[half:])
        if right > most:
            best, most = penalty, right
    return best


def _linear(inputs: Tensor, classes: int) -> nn.Linear:
    """A layer of zeros, so that no random number is drawn."""
    linear = nn.Linear(inputs.shape[1], classes, device="meta").to_empty(device="cpu")
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear


def _fitted(
    linear: nn.Linear, inputs: Tensor, labels: Tensor, penalty: float, on_step: Callable[[], None]
) -> nn.Linear:
    """The layer after multinomial logistic regression with ``penalty / 2 · |weight|²``, from where it stands."""
    optimizer = torch.optim.LBFGS(linear.parameters(), max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        on_step()
        optimizer.zero_grad()
        loss = F.cross_entropy(linear(inputs), labels) + 0.5 * penalty * linear.weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return linear


def _votes(inputs: Tensor, labels: Tensor, others: Tensor, classes: int) -> Tensor:
    """Votes [M, classes] of the neighbours nearest by cosine."""
    similarity = F.normalize(others) @ F.normalize(inputs).T
    nearest, who = similarity.topk(min(NEIGHBOURS, len(labels)), dim=1)
    votes = torch.zeros(len(others), classes)
    return votes.scatter_add_(1, labels[who], (nearest / _TEMPERATURE).exp())


def _agreement(scores: Tensor, labels: Tensor) -> float:
    return float((scores.argmax(dim=1) == labels).double().mean())
