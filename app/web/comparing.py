"""``/ui/compare``: several fine-tunings beside each other: curves, what differs in their configuration, results."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Query, Request, Response

from app.deps import CallerDep, Services, ServicesDep
from app.web.rendering import render
from app.web.routing import page_router
from models_store import jobs
from models_store.database.tables import JobRow
from models_store.errors import InvalidError, NotFoundError
from models_store.keys import Caller

router = page_router("/ui/compare")
MOST: Final = 8
"""More curves than these cannot be told apart."""
_CHOICES: Final = 50
_NEVER_TOLD: Final = frozenset({"name", "metadata"})
"""Of a configuration: they are no reason why a job went another way."""


@dataclass(frozen=True)
class Compared:
    """A job and its curves."""

    row: JobRow
    epochs: Sequence[Mapping[str, Any]]

    @property
    def seconds(self) -> float | None:
        """How long it ran."""
        started, finished = self.row.started_at, self.row.finished_at
        return finished - started if started is not None and finished is not None else None

    @property
    def strategy(self) -> str | None:
        """As it was decided, or else as it was asked for."""
        told: str | None = (self.row.decision or self.row.config).get("strategy")
        return told

    @property
    def best_accuracy(self) -> float | None:
        """Of the epoch that is kept."""
        found: float | None = (self.row.best or {}).get("val_accuracy")
        return found

    @property
    def model(self) -> str | None:
        """What it made."""
        made: str | None = (self.row.result or {}).get("model")
        return made

    def curves(self) -> dict[str, Any]:
        """What compare.js draws."""
        return {"id": self.row.id, "name": self.row.name, "running": self.row.state == "running", "epochs": self.epochs}


@router.get("")
def compare(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    job: Annotated[list[str] | None, Query(max_length=100)] = None,
    after: Annotated[str | None, Query(max_length=300)] = None,
) -> Response:
    """The chosen jobs, and a list to choose others from."""
    wanted = list(dict.fromkeys(job or []))
    if len(wanted) > MOST:
        raise InvalidError("validation_error", f"Compare at most {MOST} jobs at once. Choose fewer.")
    chosen = [_read(services, caller, job_id) for job_id in wanted]
    with services.database.read() as session:
        rows, more = jobs.page(session, owner=caller.sees, limit=_CHOICES, after=after)
    here = {row.id for row in rows}
    kept = [one.row for one in chosen if one.row.id not in here]
    return render(
        request,
        "compare/page.html",
        nav="compare",
        chosen=chosen,
        wanted=set(wanted),
        best=max((one.best_accuracy for one in chosen if one.best_accuracy is not None), default=None),
        choices=[*kept, *(row for row in rows if row.kind == jobs.FINE_TUNE)],
        differences=differences([one.row.config for one in chosen]),
        curves=[one.curves() for one in chosen],
        next_after=rows[-1].id if more else None,
        most=MOST,
    )


def differences(configs: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Any]]]:
    """Settings, by their path, that are not the same in all: the value of each, None where it has none."""
    flat = [dict(_flattened(config)) for config in configs]
    paths = dict.fromkeys(path for values in flat for path in values)
    rows = [(path, [values.get(path) for values in flat]) for path in paths]
    return [(path, values) for path, values in rows if any(value != values[0] for value in values)]


def _flattened(config: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from _flattened(value, f"{above}{name}.")
        elif above or name not in _NEVER_TOLD:
            yield f"{above}{name}", value


def _read(services: Services, caller: Caller, job_id: str) -> Compared:
    """One job.

    Raises:
        NotFoundError: ``job_not_found``, also where it is an evaluation, which has no curves.
    """
    with services.database.read() as session:
        row = jobs.get(session, job_id, owner=caller.sees)
        if row.kind != jobs.FINE_TUNE:
            raise NotFoundError("job_not_found", f"Job {job_id} is no fine-tuning. Compare fine-tunings.")
        return Compared(row, list(jobs.epochs(session, job_id)))
