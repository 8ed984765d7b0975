"""``/models/{ref}/report`` and ``/models/{ref}/evaluate``: how good a model is, on its own data and on other."""

from typing import Any

from fastapi import APIRouter, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from app.deps import CallerDep, Closed, PreferHeader, ServicesDep
from app.errors import responses
from app.jobs import answering, evaluating
from app.jobs.schemas import Job
from app.models import reading
from app.models.refs import RefPath
from app.reports import Report
from models_store import aliases

router = APIRouter(prefix="/models", tags=["models"])


class EvaluateRequest(Closed):
    """What the model is to be measured on."""

    dataset: str = Field(
        max_length=100,
        pattern=r"^[^\x00]*$",
        description="A data set of the model's task whose labels the model knows.",
        examples=["ds_01kaq3v9c0xg2f6n6q1w9zr8ya"],
    )


@router.get("/{ref:model}/report", responses=responses(404, 409), response_model=Report)
def read_model_report(ref: RefPath, services: ServicesDep, caller: CallerDep) -> dict[str, Any]:
    """What was measured when the model was made, on items that it was not trained on."""
    with services.database.read() as session:
        row = aliases.resolve(session, ref, caller=caller)
    return reading.report(services, row)


@router.post("/{ref:model}/evaluate", status_code=202, responses=responses(404, 409, 429))
async def evaluate(
    ref: RefPath,
    wanted: EvaluateRequest,
    response: Response,
    services: ServicesDep,
    caller: CallerDep,
    prefer: PreferHeader = None,
) -> Job:
    """Measure the model on a data set; the job that does it ends with a `report`."""
    row = await run_in_threadpool(evaluating.create, services, caller, ref, wanted.dataset)
    return await answering.accepted(services, caller, row, response, prefer)
