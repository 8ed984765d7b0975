"""``/ui/predict``: try a model with a picture or a text."""

from functools import partial
from typing import Annotated, Final

from fastapi import Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile

from app.deps import CallerDep, Services, ServicesDep
from app.models.schemas import Model
from app.predictions import answering, turns
from app.predictions.inputs import Asked
from app.predictions.schemas import Parameters
from app.web import diagnostics
from app.web.charts.bars import scores
from app.web.rendering import render, texts
from app.web.routing import page_router
from models_store import aliases, registry
from models_store.errors import InvalidError
from models_store.keys import Caller

router = page_router("/ui/predict")
_CHOICES: Final = 100
_TOP: Final = 10


@router.get("")
def predict_page(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    model: Annotated[str | None, Query(max_length=300)] = None,
) -> Response:
    """The page; without a model, of the newest one."""
    choices, chosen = _choices(services, caller, model)
    return render(request, "predict/page.html", nav="predict", choices=choices, model=chosen)


@router.post("")
async def predict(request: Request, services: ServicesDep, caller: CallerDep) -> Response:
    """What the model says of the form's picture or text, as a part of the page."""
    with services.pool.place(caller.owner):
        async with request.form(max_files=1, max_fields=5) as form:
            asked = await _asked(form)
        work = partial(answering.answer, services, caller, asked)
        model_id, (prediction,) = await turns.take(request, services, caller.owner, work)
    shown = await run_in_threadpool(_model, services, caller, model_id)
    t = texts(request)
    return render(
        request,
        "predict/_answer.html",
        model=shown,
        prediction=prediction,
        scores=scores(prediction.get("scores") or [], t("predict.scores"), t),
        remarks=list(diagnostics.remarks(prediction.get("diagnostics") or {}, t)),
        hidden=max(0, len(shown.labels) - _TOP),
    )


async def _asked(form: FormData) -> Asked:
    """A picture where one was chosen, else the text.

    Raises:
        InvalidError: ``missing_file``.
    """
    file, text = form.get("file"), form.get("text")
    given: str | bytes = await file.read() if isinstance(file, UploadFile) else str(text or "")
    if not given:
        raise InvalidError("missing_file", "There is nothing to predict yet. Choose a picture, or type a text.")
    return Asked(str(form.get("model") or ""), [given], Parameters(top_k=_TOP))


def _choices(services: Services, caller: Caller, ref: str | None) -> tuple[list[Model], Model | None]:
    """The newest models, and the one that is asked for; it is among them, however old it is."""
    with services.database.read() as session:
        rows, _ = registry.page(session, owner=caller.sees, limit=_CHOICES)
        asked = aliases.resolve(session, ref, caller=caller) if ref else None
        everything = [*([asked] if asked and asked.id not in {row.id for row in rows} else []), *rows]
        names = aliases.of(session, [row.id for row in everything])
    models = [Model.of(row, names.get(row.id, ())) for row in everything]
    wanted = asked.id if asked else None
    return models, next((model for model in models if wanted in {None, model.id}), None)


def _model(services: Services, caller: Caller, model_id: str) -> Model:
    with services.database.read() as session:
        return Model.of(registry.get(session, model_id, owner=caller.sees), ())
