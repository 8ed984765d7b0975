"""Rows and files of uploaded checkpoints, on both databases."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from models_store import checkpoints, ids, jobs, leases
from models_store.artifacts import temporary_directory_beside
from models_store.checkpoints import NewCheckpoint, Part
from models_store.database.engine import Database
from models_store.database.tables import CheckpointRow
from models_store.errors import ConflictError, InvalidError, NotFoundError
from models_store.quarantine import content
from tests.models_store.rows import claimed

ENCODER = Part("encoder", 2, 12, "submodule")
DECODER = Part("decoder", 2, 12, "submodule")
WHOLE = Part("", 4, 24, "all")
OTHER = Part("head", 2, 8, None)


def kept(
    database: Database, store_dir: Path, parts: Sequence[Part] = (ENCODER, DECODER, WHOLE), owner: str = "ann"
) -> CheckpointRow:
    new = NewCheckpoint(
        ids.new("ckpt"), owner, "오토인코더", "plugin/autoencoder", parts, ["encoder.0.weight"], "0" * 64, 10
    )
    with temporary_directory_beside(checkpoints.directory(store_dir, new.id)) as folder:
        content.write({"encoder.0.weight": torch.ones(2)}, folder / checkpoints.TENSORS)
        return checkpoints.create(database, store_dir, new, folder)


def using(database: Database, checkpoint_id: str) -> str:
    new = jobs.NewJob(jobs.FINE_TUNE, "ann", "job", "ds_none", backbone=f"checkpoint/{checkpoint_id}")
    return jobs.create(database, new)[0].id


def refused_as_in_use(database: Database, store_dir: Path, checkpoint_id: str) -> None:
    with pytest.raises(ConflictError) as caught:
        checkpoints.delete(database, store_dir, checkpoint_id, owner="ann")
    assert caught.value.code == "checkpoint_in_use"
    assert checkpoints.opened(store_dir, checkpoint_id)[0].is_file()


def test_a_checkpoint_is_stored_with_its_files(database: Database, tmp_path: Path) -> None:
    row = kept(database, tmp_path)
    file, architecture = checkpoints.opened(tmp_path, row.id)
    assert content.read(file)[0].keys() == {"encoder.0.weight"}
    assert architecture == "plugin/autoencoder"
    with database.read() as session:
        assert checkpoints.get(session, row.id, owner="ann").name == "오토인코더"


def test_another_owners_checkpoint_is_not_found(database: Database, tmp_path: Path) -> None:
    row = kept(database, tmp_path)
    with database.read() as session:
        assert checkpoints.get(session, row.id, owner=None).id == row.id
        for checkpoint_id, owner in ((row.id, "ben"), ("ckpt_none", "ann"), ("a\0b", None)):
            with pytest.raises(NotFoundError) as caught:
                checkpoints.get(session, checkpoint_id, owner=owner)
            assert caught.value.code == "checkpoint_not_found"


def test_the_newest_come_first_and_only_the_owners(database: Database, tmp_path: Path) -> None:
    mine = [kept(database, tmp_path).id for _ in range(3)]
    kept(database, tmp_path, owner="ben")
    with database.read() as session:
        rows, more = checkpoints.page(session, owner="ann", limit=2)
        rest, _ = checkpoints.page(session, owner="ann", limit=2, after=rows[-1].id)
    assert [row.id for row in (*rows, *rest)] == sorted(mine, reverse=True)
    assert more


def test_deleting_takes_row_and_files(database: Database, tmp_path: Path) -> None:
    row = kept(database, tmp_path)
    checkpoints.delete(database, tmp_path, row.id, owner="ann")
    assert not checkpoints.directory(tmp_path, row.id).exists()
    with pytest.raises(NotFoundError):
        checkpoints.opened(tmp_path, row.id)


def test_a_checkpoint_that_a_job_starts_from_stays_until_the_job_has_ended(database: Database, tmp_path: Path) -> None:
    row, unused = kept(database, tmp_path), kept(database, tmp_path)
    using(database, row.id)
    refused_as_in_use(database, tmp_path, row.id)
    claim = claimed(database)
    refused_as_in_use(database, tmp_path, row.id)
    checkpoints.delete(database, tmp_path, unused.id, owner="ann")
    leases.fail(database, claim, {"code": "x", "message": "x", "param": None})
    checkpoints.delete(database, tmp_path, row.id, owner="ann")


@pytest.mark.parametrize(
    ("parts", "default"),
    [
        ((ENCODER, DECODER, WHOLE), ""),
        ((ENCODER, OTHER), "encoder"),
        ((ENCODER, DECODER), None),
        ((Part("a", 1, 1, "all"), Part("b", 1, 1, "all"), ENCODER), None),
    ],
)
def test_all_of_the_architecture_comes_before_a_part_of_it(
    parts: tuple[Part, ...], default: str | None, database: Database, tmp_path: Path
) -> None:
    assert checkpoints.default_submodule(kept(database, tmp_path, parts)) == default


def test_a_job_gets_the_part_it_names_else_the_default(database: Database, tmp_path: Path) -> None:
    row = kept(database, tmp_path)
    assert checkpoints.check_submodule(row, tmp_path, None) == ""
    assert checkpoints.check_submodule(row, tmp_path, "encoder.0") == "encoder.0"
    assert checkpoints.check_submodule(row, tmp_path, "") == ""


@pytest.mark.parametrize(
    ("wanted", "code"),
    [("encode", "unknown_submodule"), ("decoder", "unknown_submodule"), (None, "ambiguous_submodule")],
)
def test_a_part_that_is_not_there_or_not_clear_is_refused(
    wanted: str | None, code: str, database: Database, tmp_path: Path
) -> None:
    row = kept(database, tmp_path, (ENCODER, DECODER))
    with pytest.raises(InvalidError, match="encoder") as caught:
        checkpoints.check_submodule(row, tmp_path, wanted)
    assert caught.value.code == code
