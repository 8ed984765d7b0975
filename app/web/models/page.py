"""``/ui/models/{id}``: what one model is, how good it is, what was proved of it, and what can be done with it."""

from typing import Annotated

from fastapi import Form, Request, Response
from starlette.concurrency import run_in_threadpool

from app.deps import ActorDep, CallerDep, IdPath, Services, ServicesDep
from app.jobs import evaluating
from app.models import aliases as api_aliases
from app.models import endpoints as api_models
from app.web.models import showing, snippets, wording
from app.web.notices import with_notice
from app.web.rendering import redirected, render, texts
from app.web.routing import page_router
from models_store.keys import Caller

router = page_router("/ui/models")
AliasField = Annotated[str, Form(max_length=300)]
PageField = Annotated[str, Form(max_length=300)]


@router.get("/{model_id}")
def model_page(request: Request, model_id: IdPath, services: ServicesDep, caller: CallerDep) -> Response:
    """The page."""
    found = showing.shown(services, caller, model_id)
    url = str(request.base_url).rstrip("/")
    return render(
        request, "models/model.html", nav="models", shown=found, say=wording, snippets=snippets.of(found.model, url)
    )


@router.delete("/{model_id}")
def delete_model(model_id: IdPath, services: ServicesDep, caller: CallerDep, actor: ActorDep) -> Response:
    """Delete the model, and show the others."""
    api_models.delete_model(model_id, services, caller, actor)
    return redirected("/ui/models")


@router.post("/{model_id}/aliases")
def move_alias(
    request: Request,
    model_id: IdPath,
    services: ServicesDep,
    caller: CallerDep,
    actor: ActorDep,
    alias: AliasField,
    page: PageField = "",
) -> Response:
    """Promote this version, or roll back to it; ``page`` is the model whose page asks."""
    moved = api_aliases.move_alias(model_id, alias.strip(), services, caller, actor)
    said = texts(request)("models.aliases.moved", alias=alias.strip(), version=moved.version)
    return with_notice(_versions(request, services, caller, page or model_id), said)


@router.delete("/{model_id}/aliases/{alias}")
def remove_alias(
    request: Request, model_id: IdPath, alias: str, services: ServicesDep, caller: CallerDep, actor: ActorDep
) -> Response:
    """Take an alias from this version."""
    api_aliases.remove_alias(model_id, alias, services, caller, actor)
    said = texts(request)("models.aliases.removed", alias=alias)
    return with_notice(_versions(request, services, caller, model_id), said)


@router.post("/{model_id}/evaluate")
async def evaluate(
    model_id: IdPath, services: ServicesDep, caller: CallerDep, dataset: Annotated[str, Form(max_length=100)]
) -> Response:
    """Start the evaluation, and show its job."""
    row = await run_in_threadpool(evaluating.create, services, caller, model_id, dataset)
    return redirected(f"/ui/jobs/{row.id}")


def _versions(request: Request, services: Services, caller: Caller, model_id: str) -> Response:
    found = showing.shown(services, caller, model_id)
    return render(request, "models/_versions.html", shown=found, swapped=True)
