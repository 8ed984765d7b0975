"""Rows and files of uploaded checkpoints: tensors alone, under the architecture that they were found to fit."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from models_store import audit, usage
from models_store.artifacts import publish_directory
from models_store.database.engine import Database, now
from models_store.database.tables import ACTIVE, CheckpointRow, JobRow, Json
from models_store.errors import ConflictError, DatabaseUnavailableError, InvalidError, NotFoundError, UnavailableError
from models_store.paging import newest
from models_store.storage.local import LOCAL
from models_store.storage.protocol import Storage

TENSORS: Final = "tensors.safetensors"
_ABOUT: Final = "checkpoint.json"


@dataclass(frozen=True)
class Part:
    """A part of a checkpoint by its dotted name (``""``: all of it), and what of the architecture it can fill."""

    name: str
    tensors: int
    values: int
    fits: str | None
    """``all`` of the architecture, a ``submodule`` of it (plugins alone), or nothing."""


@dataclass(frozen=True)
class NewCheckpoint:
    """A checkpoint whose tensors were read and found to fit."""

    id: str
    owner: str
    name: str
    architecture: str
    parts: Sequence[Part]
    names: Sequence[str]
    """Of all its tensors, in their order."""
    sha256: str
    bytes: int


def create(
    database: Database,
    store_dir: Path,
    new: NewCheckpoint,
    folder: Path,
    *,
    max_stored: int = 0,
    storage: Storage = LOCAL,
) -> CheckpointRow:
    """Publish ``folder``, which holds ``TENSORS`` and lies beside :func:`directory`, and insert the row.

    Raises:
        TooManyError: ``storage_quota``, its owner would have more than ``max_stored`` bytes.
    """
    about = {"architecture": new.architecture, "names": list(new.names)}
    (folder / _ABOUT).write_text(json.dumps(about, ensure_ascii=False), "utf-8")
    final = directory(store_dir, new.id)
    with database.read() as session:
        usage.room(session, new.owner, max_stored).check(new.bytes)  # before it is sent to a store that is elsewhere
    storage.push(folder, final=final)
    with _pushed(storage, final), database.write() as session:
        usage.room(session, new.owner, max_stored).check(new.bytes)
        row = CheckpointRow(
            id=new.id,
            owner=new.owner,
            name=new.name,
            architecture=new.architecture,
            submodules=[asdict(part) for part in new.parts],
            sha256=new.sha256,
            bytes=new.bytes,
            created_at=session.scalar(select(now())),
        )
        session.add(row)
        session.flush()
        publish_directory(folder, final)  # within: no row without files, hardly files without
        return row


@contextmanager
def _pushed(storage: Storage, final: Path) -> Iterator[None]:
    """What was pushed for a row that does not come goes again."""
    try:
        yield
    except DatabaseUnavailableError:
        raise  # the commit may have been made; if it was not, a sweep removes the folder later
    except BaseException:
        with contextlib.suppress(UnavailableError), storage.removal() as take:
            take(final)
        raise


def get(session: Session, checkpoint_id: str, *, owner: str | None) -> CheckpointRow:
    """Read one checkpoint; ``owner=None`` is an admin's view.

    Raises:
        NotFoundError: ``checkpoint_not_found``, no such checkpoint, or somebody else's.
    """
    row = None if "\0" in checkpoint_id else session.get(CheckpointRow, checkpoint_id)  # PostgreSQL refuses such a text
    if row is None or (owner is not None and row.owner != owner):
        raise _unknown(checkpoint_id)
    return row


def page(
    session: Session, *, owner: str | None, limit: int, after: str | None = None
) -> tuple[Sequence[CheckpointRow], bool]:
    """The newest checkpoints after ``after``, and whether there are more."""
    mine = {} if owner is None else {CheckpointRow.owner: owner}
    return newest(session, select(CheckpointRow), CheckpointRow.id, limit=limit, after=after, where=mine)


def delete(
    database: Database,
    store_dir: Path,
    checkpoint_id: str,
    *,
    owner: str | None,
    by: audit.Actor = audit.SERVICE,
    storage: Storage = LOCAL,
) -> None:
    """Delete a checkpoint; models that were trained from it have trunks of their own and stay.

    Raises:
        ConflictError: ``checkpoint_in_use``, a queued or running job starts from it.
    """
    with storage.removal() as take, database.write() as session:
        row = get(session, checkpoint_id, owner=owner)
        users = select(JobRow.id).where(JobRow.backbone == f"checkpoint/{checkpoint_id}", ACTIVE)
        user = session.scalar(users.limit(1))
        if user is not None:
            raise ConflictError(
                "checkpoint_in_use", f"Job {user} still starts from this checkpoint. Cancel it or wait for its end."
            )
        session.delete(row)
        session.flush()
        audit.record(session, by, "checkpoint.deleted", checkpoint_id, owner=row.owner)
        take(directory(store_dir, checkpoint_id))


def default_submodule(row: CheckpointRow) -> str | None:
    """The part that is taken where a job names none; None where it has to."""
    for fits in ("all", "submodule"):
        able = fitting(row, fits)
        if able:
            return able[0] if len(able) == 1 else None
    return None


def fitting(row: CheckpointRow, *kinds: str) -> list[str]:
    """Names of the parts that fit in one of these ways."""
    return [part["name"] for part in row.submodules if part["fits"] in kinds]


def check_submodule(row: CheckpointRow, store_dir: Path, wanted: str | None) -> str:
    """The part that a job gets: the one it names, else the only one that fits.

    Raises:
        InvalidError: ``unknown_submodule``, ``ambiguous_submodule``.
        NotFoundError: ``checkpoint_not_found``, its files were just deleted.
    """
    if wanted is None:
        default = default_submodule(row)
        if default is None:
            raise ambiguous_submodule(fitting(row, "all", "submodule"))
        return default
    names = _about(store_dir, row.id)["names"]
    if wanted and not any(name.startswith(f"{wanted}.") for name in names):
        raise unknown_submodule(wanted, [part["name"] for part in row.submodules])
    return wanted


def opened(store_dir: Path, checkpoint_id: str) -> tuple[Path, str]:
    """The file of tensors, and the name of their architecture.

    Raises:
        NotFoundError: ``checkpoint_not_found``.
    """
    return directory(store_dir, checkpoint_id) / TENSORS, str(_about(store_dir, checkpoint_id)["architecture"])


def directory(store_dir: Path, checkpoint_id: str) -> Path:
    """Where the files of a checkpoint lie."""
    return store_dir / "checkpoints" / checkpoint_id


def unknown_submodule(wanted: str, parts: Sequence[str]) -> InvalidError:
    """The error for a part that the checkpoint has not."""
    shown = ", ".join(name for name in parts if name) or "none"
    message = f"The checkpoint has no part {wanted}; its parts are {shown}. Name one of them."
    return InvalidError("unknown_submodule", message, param="submodule")


def ambiguous_submodule(able: Sequence[str]) -> InvalidError:
    """The error for a job that has to choose."""
    shown = ", ".join(f'"{name}"' for name in able)
    message = f"Several parts of the checkpoint fit: {shown}. Name one in `submodule`."
    return InvalidError("ambiguous_submodule", message, param="submodule")


def _about(store_dir: Path, checkpoint_id: str) -> Json:
    try:
        about: Json = json.loads((directory(store_dir, checkpoint_id) / _ABOUT).read_bytes())
    except FileNotFoundError as error:
        raise _unknown(checkpoint_id) from error
    return about


def _unknown(checkpoint_id: str) -> NotFoundError:
    message = f"There is no checkpoint {checkpoint_id!r}. List yours with GET /checkpoints."
    return NotFoundError("checkpoint_not_found", message, param="backbone")
