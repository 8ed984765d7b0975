"""``/models``."""

from fastapi import APIRouter

from app.deps import ActorDep, CallerDep, Page, PageDep, ServicesDep
from app.errors import responses
from app.models.refs import RefPath
from app.models.schemas import Model
from models_store import aliases, registry, unused_trunks

router = APIRouter(prefix="/models", tags=["models"])


@router.get("", responses=responses())
def list_models(query: PageDep, services: ServicesDep, caller: CallerDep) -> Page[Model]:
    """Your models, newest first."""
    with services.database.read() as session:
        rows, more = registry.page(session, owner=caller.sees, limit=query.limit, after=query.after)
        names = aliases.of(session, [row.id for row in rows])
    return Page(data=[Model.of(row, names.get(row.id, ())) for row in rows], has_more=more)


@router.get("/{ref:model}", responses=responses(404, 409))
def read_model(ref: RefPath, services: ServicesDep, caller: CallerDep) -> Model:
    """One model: what it was trained on, how good it is, and the proofs that came with it."""
    with services.database.read() as session:
        row = aliases.resolve(session, ref, caller=caller)
        return Model.of(row, aliases.of(session, [row.id]).get(row.id, ()))


@router.delete("/{ref:model}", status_code=204, responses=responses(404))
def delete_model(ref: RefPath, services: ServicesDep, caller: CallerDep, actor: ActorDep) -> None:
    """Delete a model and its aliases; from then on it does not predict. By id alone, so that none goes by mistake.

    Its trunk goes with the last model that stands on it: now, or, while jobs run, when they have ended.
    """
    store_dir = services.settings.store_dir
    trunk = registry.delete(services.database, store_dir, ref, owner=caller.sees, by=actor, storage=services.storage)
    services.pool.drop(ref)
    unused_trunks.drop(services.database, store_dir, trunk, services.storage)
    services.database.scrub()
