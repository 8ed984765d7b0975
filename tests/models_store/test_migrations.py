from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import select, text

import models_store.database.migrate as migrating
from models_store.database.engine import Database
from models_store.database.tables import DatasetRow

EARLIER = (
    "INSERT INTO datasets "
    "(id, owner, name, status, options, upload_sha256, classes, splits, bytes, problems, created_at) "
    "VALUES ('ds_1', 'ann', 'films', 'ready', '{}', '', '[]', '{}', 1, '[]', 0)"
)


def test_a_data_set_of_before_has_no_warnings(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'earlier.db'}")
    config = Config()
    config.set_main_option("script_location", str(Path(migrating.__file__).parent / "migrations"))
    with database.engine.execution_options(finetuned_write=True).connect() as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        connection.execute(text(EARLIER))
    migrating.migrate(database)
    with database.read() as session:
        row = session.scalars(select(DatasetRow)).one()
    database.close()
    assert row.warnings == []
