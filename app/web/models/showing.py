"""Everything that the page of a model tells, from its row, its report, and what is left of its job and its data."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup
from sqlalchemy.orm import Session

from app.datasets import opening
from app.deps import Services
from app.jobs.schemas import Decision
from app.models import reading
from app.models.schemas import Model
from app.web.charts.bars import per_class
from app.web.charts.confusion import confusions
from app.web.charts.markup import Words
from app.web.charts.reliability import reliability
from app.web.models import wording
from models_store import agreement, aliases, datasets, registry
from models_store.database.tables import DatasetRow, JobRow, ModelRow
from models_store.errors import FinetunedError, NotFoundError
from models_store.itemset import ItemSet
from models_store.keys import Caller

Json = dict[str, Any]
TEXT: Final = "text-classification"
_VERSIONS: Final = 20
_DATASETS: Final = 100
_TEXT_SHOWN: Final = 500


@dataclass(frozen=True)
class Part:
    """A part of the data that a report measured.

    Args:
        figures: as in the report.
        mistakes: those of the report, each with ``text`` where items are texts and still there.
    """

    figures: Json
    mistakes: Sequence[Json]

    @property
    def split(self) -> str:
        """Its name."""
        return str(self.figures["split"])

    def confusions(self, t: Words) -> Markup:
        """Which class was taken for which."""
        return confusions(self.figures, t)

    def classes(self, t: Words) -> Markup:
        """Precision, recall and F1 of each class."""
        return per_class(self.figures["classes"], t)

    def reliability(self, name: str, t: Words) -> Markup:
        """Whether scores mean what they say; ``name`` is its own on the page."""
        return reliability(name, self.figures["calibration"], t)

    def calibration(self, t: Words) -> str:
        """What was done about it."""
        return wording.calibration(self.figures, t)


@dataclass(frozen=True)
class Shown:
    """What the template is given."""

    model: Model
    owner: str
    card: Json
    parts: Sequence[Part]
    job: JobRow | None
    """Gone where it was deleted."""
    dataset: DatasetRow | None
    versions: Sequence[Model]
    """The newest of the same name and owner, this one among them where it is new enough."""
    more_versions: bool
    datasets: Sequence[tuple[str, str]]
    """What the model can be evaluated on: ids and names."""

    @property
    def decision(self) -> Decision | None:
        """Which strategy its job took and why."""
        told = self.job.decision if self.job else None
        return Decision.model_validate(told) if told else None

    @property
    def aliases_elsewhere(self) -> Mapping[str, Model]:
        """Aliases that another of these versions has."""
        others = (model for model in self.versions if model.id != self.model.id)
        return {alias: model for model in others for alias in model.aliases}


def shown(services: Services, caller: Caller, model_id: str) -> Shown:
    """Read it all.

    Raises:
        NotFoundError: ``model_not_found``.
    """
    with services.database.read() as session:
        row = registry.get(session, model_id, owner=caller.sees)
        rows, more = registry.page(session, owner=row.owner, name=row.name, limit=_VERSIONS)
        names = aliases.of(session, [model_id, *(one.id for one in rows)])
        dataset = _dataset(session, row.dataset_id)
        job = session.get(JobRow, row.job_id)
        choices = agreement.askable(session, row, owner=caller.sees, limit=_DATASETS)
    return Shown(
        model=Model.of(row, names.get(row.id, ())),
        owner=row.owner,
        card=row.card,
        parts=list(parts(services, dataset, _report(services, row))),
        job=job,
        dataset=dataset,
        versions=[Model.of(one, names.get(one.id, ())) for one in rows],
        more_versions=more,
        datasets=choices,
    )


def parts(services: Services, dataset: DatasetRow | None, report: Json | None) -> Iterator[Part]:
    """The parts of a report, the one at its top first; none of a model that was made without a report."""
    if report is None:
        return
    for figures in (report, *report["splits"].values()):
        yield Part(figures, _with_texts(services, dataset, figures["mistakes"]))


def _report(services: Services, row: ModelRow) -> Json | None:
    try:
        return reading.report(services, row)
    except NotFoundError:
        return None


def _dataset(session: Session, dataset_id: str) -> DatasetRow | None:
    try:
        return datasets.get(session, dataset_id, owner=None, with_problems=False)
    except NotFoundError:
        return None


def _with_texts(services: Services, dataset: DatasetRow | None, mistakes: Sequence[Json]) -> list[Json]:
    """Pictures are asked for by the browser; texts come with the page, as far as they can be read."""
    if dataset is None or dataset.fingerprint is None:
        return []
    if not mistakes or dataset.task != TEXT:
        return list(mistakes)
    with ExitStack() as stack:
        try:
            items = stack.enter_context(opening.items(services, dataset))
            return [{**mistake, "text": _text(items, mistake["item"])} for mistake in mistakes]
        except FinetunedError:  # its files are gone or damaged: the figures are told all the same
            return list(mistakes)


def _text(items: ItemSet, item_id: str) -> str:
    text = items.content(items.item(item_id)).decode()
    return text if len(text) <= _TEXT_SHOWN else f"{text[:_TEXT_SHOWN]}…"
