"""``/models/{ref}/aliases/{alias}``: promote a version, or roll back to an earlier one."""

from typing import Annotated

from fastapi import APIRouter, Path

from app.deps import ActorDep, CallerDep, ServicesDep
from app.errors import responses
from app.models.refs import RefPath
from app.models.schemas import Model
from models_store import aliases

router = APIRouter(prefix="/models", tags=["models"])
AliasPath = Annotated[
    str,
    Path(
        description="Up to 64 of a-z, 0-9, `-` and `_`, of which the first is no sign; not `latest`.",
        examples=["production"],
        max_length=300,
        # Described, not validated here: the store refuses other names, with a code of its own.
        json_schema_extra={"pattern": "^[a-z0-9][a-z0-9_-]{0,63}$", "not": {"const": "latest"}},
    ),
]


@router.put("/{ref:model}/aliases/{alias}", responses=responses(404, 409))
def move_alias(ref: RefPath, alias: AliasPath, services: ServicesDep, caller: CallerDep, actor: ActorDep) -> Model:
    """Let `name@alias` mean this version from the next request on. The version that had the alias loses it."""
    row = aliases.move(services.database, ref, alias, caller=caller, by=actor)
    with services.database.read() as session:
        return Model.of(row, aliases.of(session, [row.id]).get(row.id, ()))


@router.delete("/{ref:model}/aliases/{alias}", status_code=204, responses=responses(404, 409))
def remove_alias(ref: RefPath, alias: AliasPath, services: ServicesDep, caller: CallerDep, actor: ActorDep) -> None:
    """Take an alias from this version; `name@alias` then means nothing."""
    aliases.remove(services.database, ref, alias, caller=caller, by=actor)
