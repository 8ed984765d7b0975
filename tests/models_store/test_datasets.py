from sqlalchemy import inspect

from models_store import datasets
from models_store.database.engine import Database
from tests.models_store.rows import ready_dataset


def test_the_problems_of_a_data_set_stay_unread_where_they_are_not_needed(database: Database) -> None:
    dataset = ready_dataset(database)
    with database.read() as session:
        row = datasets.get(session, dataset, owner="ann", with_problems=False)
        assert {"problems", "warnings"} <= inspect(row).unloaded
    with database.read() as session:
        assert datasets.get(session, dataset, owner="ann").problems == []
