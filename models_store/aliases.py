"""Names for versions of a model: ``name@production`` moves from one to another, and clients need not change.

A reference to a model is its id, or ``name@alias``. Aliases belong to the owner of the models that bear the name.
``name@latest`` is always the newest version; it cannot be moved.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection, Result, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from models_store import audit, registry
from models_store.database.engine import Database, now
from models_store.database.tables import AliasRow, ModelRow
from models_store.errors import ConflictError, InvalidError, NotFoundError
from models_store.keys import ADMIN, Caller

LATEST: Final = "latest"
_ALIAS: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_INSERT: Final[Mapping[str, Callable[[type[AliasRow]], sqlite.Insert | postgresql.Insert]]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}


class Meant(NamedTuple):
    """What a prediction needs to know of the model that a reference means."""

    id: str
    task: str
    version: int

    @property
    def reads_text(self) -> bool:
        """Whether its inputs are texts, not images."""
        return self.task == "text-classification"


_MEANT: Final = (ModelRow.id, ModelRow.task, ModelRow.version)
_BY_ID: Final = select(*_MEANT).where(ModelRow.id == bindparam("id"))
_MINE_BY_ID: Final = _BY_ID.where(ModelRow.owner == bindparam("owner"))


def resolve(session: Session, ref: str, *, caller: Caller) -> ModelRow:
    """The model that ``ref`` means now: an id, or ``name@alias`` (the last ``@`` counts: names may hold others).

    A name is looked for among the caller's own models; an admin who has none of that name gets its only owner's.

    Raises:
        NotFoundError: ``model_not_found`` or ``alias_not_found``.
        ConflictError: ``ambiguous_name``, an admin's reference that fits the models of several others.
    """
    name, at, alias = ref.rpartition("@")
    if not at:
        return registry.get(session, ref, owner=caller.sees)
    if "\0" in ref:
        raise registry.unknown(ref)
    owner = _owner(session, name, caller)
    mine = select(ModelRow).where(ModelRow.owner == owner, ModelRow.name == name)
    if alias == LATEST:
        return session.scalars(mine.order_by(ModelRow.version.desc()).limit(1)).one()
    row = session.scalar(mine.join(AliasRow, AliasRow.model_id == ModelRow.id).where(AliasRow.alias == alias))
    if row is None:
        raise _no_alias(name, alias)
    return row


def meant(database: Database, ref: str, *, caller: Caller) -> Meant:
    """The model that ``ref`` means now, for every prediction anew: for a plain id it takes a tenth of a millisecond.

    Raises:
        NotFoundError, ConflictError: as :func:`resolve`.
    """
    if "@" in ref or "\0" in ref:
        with database.read() as session:
            return _by_alias(session, ref, caller)
    with database.glance() as connection:
        found = _by_id(connection, ref, caller)
    if found is None:
        raise registry.unknown(ref)
    return found


def versioned(session: Session, ref: str, version: int | None, *, caller: Caller) -> Meant:
    """As :func:`meant`, where ``ref`` may also be a plain name: then this version of it, or the newest.

    Raises:
        NotFoundError, ConflictError: as :func:`resolve`; ``version_not_found``, also for an id or an alias that means
            another version.
    """
    if "@" in ref or "\0" in ref:
        found: Meant | None = _by_alias(session, ref, caller)
    else:
        found = _by_id(session, ref, caller) or _by_name(session, ref, version, caller)
    if found is None or version not in {None, found.version}:
        message = f"{ref!r} has no version {version} here. See `versions` in its metadata."
        raise NotFoundError("version_not_found", message, param="version")
    return found


def versions(session: Session, row: ModelRow) -> Sequence[int]:
    """The versions of this model's name that are there, oldest first."""
    same = select(ModelRow.version).where(ModelRow.owner == row.owner, ModelRow.name == row.name)
    return session.scalars(same.order_by(ModelRow.version)).all()


def _by_id(reading: Session | Connection, ref: str, caller: Caller) -> Meant | None:
    if caller.sees is None:
        return _one(reading.execute(_BY_ID, {"id": ref}))
    return _one(reading.execute(_MINE_BY_ID, {"id": ref, "owner": caller.sees}))


def _by_alias(session: Session, ref: str, caller: Caller) -> Meant:
    row = resolve(session, ref, caller=caller)
    return Meant(row.id, row.task, row.version)


def _by_name(session: Session, name: str, version: int | None, caller: Caller) -> Meant | None:
    mine = select(*_MEANT).where(ModelRow.owner == _owner(session, name, caller), ModelRow.name == name)
    if version is not None:
        return _one(session.execute(mine.where(ModelRow.version == version)))
    return _one(session.execute(mine.order_by(ModelRow.version.desc()).limit(1)))


def _one(rows: Result[str, str, int]) -> Meant | None:
    found = rows.one_or_none()
    return None if found is None else Meant(found.id, found.task, found.version)


def move(database: Database, ref: str, alias: str, *, caller: Caller, by: audit.Actor = audit.SERVICE) -> ModelRow:
    """Let ``alias`` mean this model from now on, and no other of its name; of several moves at once the last wins.

    Raises:
        InvalidError: ``invalid_alias``.
        NotFoundError, ConflictError: as :func:`resolve`.
    """
    if alias == LATEST or not _ALIAS.fullmatch(alias):
        raise InvalidError(
            "invalid_alias",
            f"{alias[:80]!r} cannot be an alias. Use up to 64 of a-z, 0-9, - and _, and not {LATEST!r}, "
            "which is always the newest version.",
            param="alias",
        )
    with database.write() as session:
        row = resolve(session, ref, caller=caller)
        # Locked, so that a deletion at this moment waits, and then takes the alias along.
        if session.scalar(select(ModelRow.id).where(ModelRow.id == row.id).with_for_update()) is None:
            raise registry.unknown(ref)
        moved = {"model_id": row.id, "moved_at": now()}
        insert = _INSERT[session.get_bind().dialect.name](AliasRow).values(
            owner=row.owner, name=row.name, alias=alias, **moved
        )
        session.execute(insert.on_conflict_do_update(index_elements=["owner", "name", "alias"], set_=moved))
        audit.record(session, by, "alias.moved", f"{row.id}@{alias}", owner=row.owner)
    return row


def remove(database: Database, ref: str, alias: str, *, caller: Caller, by: audit.Actor = audit.SERVICE) -> None:
    """Take an alias from this model.

    Raises:
        NotFoundError: ``alias_not_found``, also where the alias is another version's; or as :func:`resolve`.
        ConflictError: as :func:`resolve`.
    """
    with database.write() as session:
        row = resolve(session, ref, caller=caller)
        mine = delete(AliasRow).where(AliasRow.model_id == row.id, AliasRow.alias == alias)
        if session.scalar(mine.returning(AliasRow.alias)) is None:
            raise _no_alias(row.name, alias)
        audit.record(session, by, "alias.removed", f"{row.id}@{alias}", owner=row.owner)


def of(session: Session, model_ids: Collection[str]) -> Mapping[str, Sequence[str]]:
    """The aliases of several models by one query, each model's in order; ``latest`` is not among them."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    query = select(AliasRow.model_id, AliasRow.alias).where(AliasRow.model_id.in_(model_ids)).order_by(AliasRow.alias)
    for model_id, alias in session.execute(query):
        found[model_id].append(alias)
    return found


def _owner(session: Session, name: str, caller: Caller) -> str:
    """Whose models of this name are meant."""
    mine = select(ModelRow.id).where(ModelRow.owner == caller.owner, ModelRow.name == name).limit(1)
    if session.scalar(mine) is not None:
        return caller.owner
    others = select(ModelRow.owner).where(ModelRow.name == name).distinct().limit(2)
    owners = session.scalars(others).all() if caller.role == ADMIN else []
    if not owners:
        message = f"There is no model of the name {name!r}. List yours with GET /models."
        raise NotFoundError("model_not_found", message, param="model")
    if len(owners) > 1:
        message = f"Several owners have models of the name {name!r}. Name the one that you mean by its id."
        raise ConflictError("ambiguous_name", message, param="model")
    return owners[0]


def _no_alias(name: str, alias: str) -> NotFoundError:
    message = f"{name!r} has no alias {alias!r} here. See `aliases` in GET /models, or set it with PUT."
    return NotFoundError("alias_not_found", message, param="model")
