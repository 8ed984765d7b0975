"""A trunk goes with the last model that stands on it, and never while something that runs may be about to name it."""

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from models_store import registry, unused_trunks
from models_store.database.engine import Database
from tests.models_store.rows import claimed, new_dataset, queued_job
from tests.models_store.test_aliases import publish

TRUNK = "0"
"""On which the models of these tests stand."""


@pytest.fixture
def trunk(tmp_path: Path) -> Path:
    folder = tmp_path / "trunks" / TRUNK
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def test_it_goes_with_the_last_of_its_models(database: Database, tmp_path: Path, trunk: Path) -> None:
    for model in ("mdl_1", "mdl_2"):
        publish(database, model)
    registry.delete(database, tmp_path, "mdl_1", owner="ann")
    assert not unused_trunks.drop(database, tmp_path, TRUNK)
    assert trunk.is_dir()
    registry.delete(database, tmp_path, "mdl_2", owner="ann")
    assert unused_trunks.drop(database, tmp_path, TRUNK)
    assert not trunk.exists()


def test_somebody_elses_model_keeps_it(database: Database, tmp_path: Path, trunk: Path) -> None:
    publish(database, "mdl_bobs", owner="bob")
    assert not unused_trunks.drop(database, tmp_path, TRUNK)
    assert trunk.is_dir()


def test_it_stays_while_a_job_runs_that_may_name_it(database: Database, tmp_path: Path, trunk: Path) -> None:
    queued_job(database)
    claimed(database)
    assert not unused_trunks.drop(database, tmp_path, TRUNK)
    assert trunk.is_dir()


def test_neither_a_job_that_waits_nor_an_import_that_runs_keeps_it(
    database: Database, tmp_path: Path, trunk: Path
) -> None:
    queued_job(database)
    new_dataset(database)
    claimed(database, "light")
    assert unused_trunks.drop(database, tmp_path, TRUNK)
    assert not trunk.exists()


@pytest.mark.parametrize("card", [{"trunk": TRUNK}, {}, None])
def test_a_bundle_that_no_row_names_keeps_what_it_stands_on_or_may(
    card: dict[str, str] | None, database: Database, tmp_path: Path, trunk: Path
) -> None:
    bundle = tmp_path / "models" / "mdl_unpublished"
    bundle.mkdir(parents=True)
    (bundle / "card.json").write_text("{" if card is None else json.dumps(card))
    assert not unused_trunks.drop(database, tmp_path, TRUNK)
    assert trunk.is_dir()


def test_one_that_is_gone_already_is_gone(database: Database, tmp_path: Path) -> None:
    assert unused_trunks.drop(database, tmp_path, TRUNK)


def test_no_job_begins_while_it_is_being_removed(
    database: Database, tmp_path: Path, trunk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim at this moment waits for the end of the removal, and then finds no trunk."""
    queued_job(database)
    found: list[bool] = []

    def begin() -> None:
        claimed(database)
        found.append(trunk.exists())

    thread = threading.Thread(target=begin)
    looked_up = unused_trunks.stood_on

    def stopped_in_the_middle(session: Session, sha256: str, unpublished: Mapping[Path, Mapping[str, Any]]) -> bool:
        thread.start()
        thread.join(0.5)
        assert thread.is_alive(), "the claim did not wait"
        return looked_up(session, sha256, unpublished)

    monkeypatch.setattr(unused_trunks, "stood_on", stopped_in_the_middle)
    assert unused_trunks.drop(database, tmp_path, TRUNK)
    thread.join(10)
    assert found == [False]
