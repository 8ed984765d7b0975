"""A data folder whose database holds very many jobs before a service starts on it."""

import json
import time
from pathlib import Path
from typing import Final

from sqlalchemy import text

from models_store.database.engine import Database
from models_store.database.migrate import migrate
from models_store.settings import StoreSettings

DATASET: Final = "ds_waiting"
"""Its import never ends, so that jobs on it stay in the queue and nothing is trained meanwhile."""
_CONFIG: Final = json.dumps({"training": {"max_epochs": 10, "note": "x" * 300}})
# Owners, kinds and states take turns, and nobody's newest jobs are the newest of all.
_FILL: Final = """
INSERT INTO jobs (id, kind, lane, owner, name, dataset_id, backbone, request, config, metadata, state, attempt, fence,
                  barren, cancel_requested, created_at, started_at, finished_at)
WITH RECURSIVE counted(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM counted WHERE n + 1 < :count)
SELECT printf('job_%026d', n), CASE n % 10 WHEN 3 THEN 'import' ELSE 'fine_tune' END,
       CASE n % 10 WHEN 3 THEN 'light' ELSE 'training' END,
       CASE WHEN 3 * n < 2 * :count THEN 'ann' ELSE 'bob' END, 'job', printf('ds_%026d', n % 100),
       'torchvision/squeezenet1_1', :config, :config, '{}',
       CASE n % 7 WHEN 0 THEN 'failed' WHEN 1 THEN 'cancelled' ELSE 'succeeded' END, 1, 1, 0, 0, n, n, n
FROM counted
"""
_WAITING: Final = """
INSERT INTO datasets (id, owner, name, status, task, options, upload_sha256, classes, splits, bytes, problems,
                      created_at)
VALUES (:id, 'admin', 'waiting', 'processing', 'image-classification', '{}', '', '[]', '{}', 1, '[]', :now)
"""


def fill(data_dir: Path, count: int) -> None:
    """Make the SQLite database of ``data_dir`` with ``count`` jobs that have ended, and one data set."""
    data_dir.mkdir(mode=0o700, parents=True)
    database = Database(StoreSettings(data_dir=data_dir, database_url="").resolved_database_url)
    migrate(database)
    with database.write() as session:
        session.execute(text(_FILL), {"count": count, "config": _CONFIG})
        session.execute(text(_WAITING), {"id": DATASET, "now": time.time()})
    database.close()
