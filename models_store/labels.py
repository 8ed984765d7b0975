"""What a worker offers and what a job needs of one: names such as ``gpu``, and amounts such as ``memory>=32g``.

A job's needs are kept as one text, in which equal needs are equal: jobs that wait for the same workers are then one
part of an index, and a worker looks at each such part once instead of at each job.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

_NAME: Final = r"[a-z][a-z0-9._-]{0,31}"
_AMOUNT: Final = r"[0-9]{1,15}[kmgt]?"
NEED: Final = rf"^{_NAME}(>={_AMOUNT})?$"
"""One need of a job."""
_OFFER: Final = re.compile(rf"(?P<name>{_NAME})(?:=(?P<amount>{_AMOUNT}))?")
_UNITS: Final = {"k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
LONGEST: Final = 1000
"""Characters of all labels of a worker."""

Labels = Mapping[str, int]
"""Name → how much of it there is; 0 for a name alone."""
NONE: Final[Labels] = {}


def offered(text: str) -> Labels:
    """Read the labels of a worker, such as ``gpu,a100,memory=64g``.

    Raises:
        ValueError: one is no label.
    """
    found: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        label = _OFFER.fullmatch(part)
        if label is None:
            raise ValueError(f"{part!r} is no label of a worker. Write names and amounts, as in gpu,a100,memory=64g.")
        found[label["name"]] = _amount(label["amount"] or "0")
    if len(shown(found)) > LONGEST:
        raise ValueError(f"The labels take more than {LONGEST} characters. Give the worker fewer.")
    return found


def shown(labels: Labels) -> str:
    """The labels as one text that :func:`offered` reads: equal for workers that offer the same."""
    return ",".join(f"{name}={amount}" if amount else name for name, amount in sorted(labels.items()))


def needed(needs: Iterable[str]) -> str:
    """Needs as the one text that is kept with the job."""
    return ",".join(sorted(set(needs)))


def listed(need: str) -> list[str]:
    """The opposite of :func:`needed`."""
    return need.split(",") if need else []


def meets(labels: Labels, need: str) -> bool:
    """Whether a worker with these labels may take jobs with this need."""
    return all(_met(labels, *part.split(">=")) for part in listed(need))


def _met(labels: Labels, name: str, least: str = "0") -> bool:
    return name in labels and labels[name] >= _amount(least)


def _amount(text: str) -> int:
    return int(text.rstrip("kmgt")) * _UNITS.get(text[-1], 1)
