"""``/keys``; for admins."""

from typing import Any

from fastapi import APIRouter

from app.deps import ActorDep, AdminDep, IdPath, Page, PageDep, ServicesDep, rfc3339
from app.errors import responses
from app.keys.schemas import CreatedKey, Key, NewKey
from models_store import keys
from models_store.database.tables import KeyRow

router = APIRouter(prefix="/keys", tags=["keys"])


@router.post("", status_code=201, responses=responses(403))
def create_key(new: NewKey, services: ServicesDep, _admin: AdminDep, actor: ActorDep) -> CreatedKey:
    """Make a key; it is shown this once."""
    row, key = keys.create(services.database, new.owner, new.role, actor)
    return CreatedKey.model_validate({**_shown(row), "key": key})


@router.get("", responses=responses(403))
def list_keys(query: PageDep, services: ServicesDep, _admin: AdminDep) -> Page[Key]:
    """The keys that are not revoked, newest first."""
    with services.database.read() as session:
        rows, more = keys.page(session, limit=query.limit, after=query.after)
    return Page(data=[Key.model_validate(_shown(row)) for row in rows], has_more=more)


@router.delete("/{key_id}", status_code=204, responses=responses(403, 404))
def revoke_key(key_id: IdPath, services: ServicesDep, _admin: AdminDep, actor: ActorDep) -> None:
    """Revoke a key: here at once, in other processes of the service within seconds."""
    keys.revoke(services.database, key_id, actor)
    services.authenticator.forget()


def _shown(row: KeyRow) -> dict[str, Any]:
    same = {name: getattr(row, name) for name in ("id", "prefix", "owner", "role")}
    return {**same, "created_at": rfc3339(row.created_at)}
