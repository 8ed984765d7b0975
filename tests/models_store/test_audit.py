"""The audit log: what is in it, that it holds together with the deed, and that nothing but its age ends an entry."""

import ast
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from sqlalchemy import update

from models_store import aliases, audit, datasets, jobs, keys, leases, registry
from models_store.database.engine import Database
from models_store.database.tables import AuditRow
from models_store.errors import ConflictError
from tests.models_store.rows import claimed, queued_job, ready_dataset
from tests.models_store.test_aliases import ADMIN, publish

ANN = audit.Actor("ann", "user", "request-1", "key_1")


def _entries(database: Database, **wanted: str) -> list[tuple[str, str, str]]:
    """Actor, action, object of the entries, newest first."""
    with database.read() as session:
        rows, _ = audit.page(session, limit=100, **wanted)
    return [(row.actor, row.action, row.object) for row in rows]


def _deleted_dataset(database: Database, folder: Path) -> str:
    dataset = ready_dataset(database)
    datasets.delete(database, folder, dataset, owner="ann", by=ANN)
    return dataset


def _cancelled_job(database: Database, folder: Path) -> str:
    del folder
    job = queued_job(database)
    jobs.cancel(database, job, owner="ann", by=ANN)
    return job


def _deleted_job(database: Database, folder: Path) -> str:
    job = queued_job(database)
    leases.cancelled(database, claimed(database))
    jobs.delete(database, folder, job, owner="ann", by=ANN)
    return job


def _deleted_model(database: Database, folder: Path) -> str:
    publish(database, "mdl_1")
    registry.delete(database, folder, "mdl_1", owner="ann", by=ANN)
    return "mdl_1"


def _moved_alias(database: Database, folder: Path) -> str:
    del folder
    publish(database, "mdl_1")
    aliases.move(database, "mdl_1", "production", caller=ADMIN, by=ANN)
    return "mdl_1@production"


def _removed_alias(database: Database, folder: Path) -> str:
    subject = _moved_alias(database, folder)
    aliases.remove(database, "mdl_1", "production", caller=ADMIN, by=ANN)
    return subject


def _created_key(database: Database, folder: Path) -> str:
    del folder
    return keys.create(database, "ann", keys.USER, ANN)[0].id


def _revoked_key(database: Database, folder: Path) -> str:
    key = _created_key(database, folder)
    keys.revoke(database, key, ANN)
    return key


DEEDS: dict[str, Callable[[Database, Path], str]] = {
    "dataset.deleted": _deleted_dataset,
    "job.cancelled": _cancelled_job,
    "job.deleted": _deleted_job,
    "model.deleted": _deleted_model,
    "alias.moved": _moved_alias,
    "alias.removed": _removed_alias,
    "key.created": _created_key,
    "key.revoked": _revoked_key,
}
"""Action → does it by ann to something of hers; gives what the entry must name."""
ELSEWHERE = {"checkpoint.deleted", "weights.added", "weights.removed"}
"""Tested where there are real tensors: tests/app/audit."""


@pytest.mark.parametrize("action", DEEDS)
def test_a_deed_is_told_with_who_did_it_to_what_and_by_which_request(
    action: str, database: Database, tmp_path: Path
) -> None:
    subject = DEEDS[action](database, tmp_path)
    with database.read() as session:
        rows, _ = audit.page(session, limit=1, action=action)
    (row,) = rows
    assert (row.actor, row.role, row.key_id, row.request_id) == ("ann", "user", "key_1", "request-1")
    assert (row.object, row.owner) == (subject, "ann")
    assert row.created_at > 0


def test_every_action_is_tested_and_recorded_somewhere() -> None:
    assert DEEDS.keys() | ELSEWHERE == set(get_args(audit.Action))
    root = Path(__file__).parents[2]
    calls = [
        node
        for room in ("app", "models_store", "worker")
        for file in (root / room).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "audit.record"
    ]
    recorded = {arg.value for call in calls for arg in call.args if isinstance(arg, ast.Constant)}
    assert recorded == set(get_args(audit.Action))


def test_a_deed_that_is_refused_is_not_told(database: Database, tmp_path: Path) -> None:
    job = queued_job(database)
    with pytest.raises(ConflictError):
        jobs.delete(database, tmp_path, job, owner="ann", by=ANN)
    assert _entries(database) == []


def test_a_deed_whose_entry_cannot_be_written_is_not_done(database: Database, tmp_path: Path) -> None:
    publish(database, "mdl_1")
    (tmp_path / "models" / "mdl_1").mkdir(parents=True)
    broken = audit.Actor("ann", "user", request_id=object())  # type: ignore[arg-type] # what no database takes
    with pytest.raises(Exception, match="object"):
        registry.delete(database, tmp_path, "mdl_1", owner="ann", by=broken)
    with database.read() as session:
        registry.get(session, "mdl_1", owner="ann")
    assert (tmp_path / "models" / "mdl_1").is_dir()


def test_entries_are_found_by_owner_and_action_newest_first_and_page_by_page(database: Database) -> None:
    first = _created_key(database, Path())
    second = _created_key(database, Path())
    keys.create(database, "bob", keys.USER, ANN)
    assert _entries(database, owner="ann") == [("ann", "key.created", second), ("ann", "key.created", first)]
    assert _entries(database, owner="ann", action="key.revoked") == []
    with database.read() as session:
        page, more = audit.page(session, limit=1, owner="ann")
        rest, last = audit.page(session, limit=1, owner="ann", after=page[0].id)
    assert ([row.object for row in (*page, *rest)], more, last) == ([second, first], True, False)


def test_only_entries_of_a_certain_age_are_forgotten(database: Database) -> None:
    old, new = _created_key(database, Path()), _created_key(database, Path())
    with database.write() as session:
        session.execute(update(AuditRow).where(AuditRow.object == old).values(created_at=1.0))
    audit.forget(database, older_than_seconds=86_400)
    assert [subject for *_, subject in _entries(database)] == [new]
