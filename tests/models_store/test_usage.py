"""What an owner has stored, on both databases."""

import pytest
from sqlalchemy import update

from models_store import datasets, usage
from models_store.database.engine import Database
from models_store.database.tables import DatasetRow, ModelRow
from models_store.errors import TooManyError
from models_store.usage import Kind, Room
from tests.models_store.rows import new_dataset, queued_job
from tests.models_store.test_aliases import publish


def _of(database: Database, owner: str | None = None, limit: int = 100, after: str | None = None) -> list[usage.Usage]:
    with database.read() as session:
        return usage.of(session, owner=owner, limit=limit, after=after)[0]


def _sized(database: Database, table: type[DatasetRow] | type[ModelRow], size: int) -> None:
    with database.write() as session:
        session.execute(update(table).values(bytes=size))


def test_sums_are_by_owner_and_kind(database: Database) -> None:
    for _ in range(2):
        new_dataset(database, "ann")
    new_dataset(database, "bob")
    _sized(database, DatasetRow, 1000)
    publish(database, "mdl_1", owner="ann")
    _sized(database, ModelRow, 7)
    ann, bob = _of(database)
    assert (ann.owner, ann.datasets, ann.models, ann.checkpoints) == ("ann", Kind(2, 2000), Kind(1, 7), Kind())
    assert (ann.stored_bytes, bob.stored_bytes) == (2007, 1000)


def test_active_jobs_count_imports_and_nothing_that_has_ended(database: Database) -> None:
    new_dataset(database, "ann")
    queued_job(database, owner="ann")
    assert [one.active_jobs for one in _of(database)] == [2]


def test_more_bytes_than_an_integer_of_32_bits_holds_are_summed(database: Database) -> None:
    for _ in range(3):
        new_dataset(database)
    _sized(database, DatasetRow, 2**40)
    with database.read() as session:
        assert usage.stored_bytes(session, "ann") == 3 * 2**40


def test_one_owner_sees_itself_alone_also_with_nothing(database: Database) -> None:
    new_dataset(database, "bob")
    assert [(one.owner, one.stored_bytes) for one in _of(database, "ann")] == [("ann", 0)]


def test_owners_come_by_name_page_by_page(database: Database) -> None:
    for owner in ("cy", "ann", "bob"):
        new_dataset(database, owner)
    with database.read() as session:
        first, more = usage.of(session, owner=None, limit=2)
        rest, last = usage.of(session, owner=None, limit=2, after=first[-1].owner)
    assert ([one.owner for one in first + rest], more, last) == (["ann", "bob", "cy"], True, False)


@pytest.mark.parametrize(("stored", "coming"), [(90, 10), (0, 100), (200, 0), (200, -5)])
def test_what_has_room_is_taken(stored: int, coming: int) -> None:
    Room(stored, 100).check(coming)


@pytest.mark.parametrize(("stored", "coming"), [(90, 11), (0, 101), (100, 1)])
def test_what_passes_the_quota_is_refused_and_says_when_to_come_back(stored: int, coming: int) -> None:
    with pytest.raises(TooManyError) as caught:
        Room(stored, 100).check(coming)
    assert (caught.value.code, caught.value.retry_after) == ("storage_quota", 60)


def test_without_a_quota_everything_has_room(database: Database) -> None:
    new_dataset(database)
    with database.read() as session:
        usage.room(session, "ann", 0).check(2**60)


def test_a_data_set_beyond_the_quota_leaves_no_row(database: Database) -> None:
    options = {"filename": "x.csv", "task": None, "validation_fraction": 0.2, "seed": 0}
    new = datasets.NewDataset("ann", "words", options, upload="u.csv", upload_sha256="0" * 64, upload_bytes=60)
    datasets.create(database, new, max_stored=100)
    with pytest.raises(TooManyError):
        datasets.create(database, new, max_stored=100)
    assert [one.datasets for one in _of(database)] == [Kind(1, 60)]
