"""Aliases on both databases: one version has each, whoever moves it and whenever."""

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import event, select

from models_store import aliases, registry
from models_store.database.engine import Database
from models_store.database.tables import AliasRow
from models_store.errors import ConflictError, FinetunedError, InvalidError, NotFoundError
from models_store.keys import Caller

ANN, BOB, ADMIN = Caller("ann", "user"), Caller("bob", "user"), Caller("root", "admin")


def publish(database: Database, model_id: str, name: str = "insects", owner: str = "ann") -> str:
    new = registry.NewModel(model_id, owner, name, f"job_{model_id}", "ds_1", "t", "b", "0", {}, 1)
    with database.write() as session:
        return registry.publish(session, new).id


def resolved(database: Database, ref: str, caller: Caller = ANN) -> str:
    with database.read() as session:
        return aliases.resolve(session, ref, caller=caller).id


def refusal(call: Callable[[], object], kind: type[FinetunedError]) -> str:
    with pytest.raises(kind) as caught:
        call()
    return caught.value.code


def failures_at_once(*calls: Callable[[], object]) -> list[Exception]:
    """Start all calls at one moment; gives what they raised."""
    barrier, failures = threading.Barrier(len(calls)), list[Exception]()

    def run(call: Callable[[], object]) -> None:
        barrier.wait()
        try:
            call()
        except Exception as error:  # noqa: BLE001 - it is the result
            failures.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def test_an_alias_moves_from_version_to_version_and_back(database: Database) -> None:
    first, second = publish(database, "mdl_1"), publish(database, "mdl_2")
    for model_id in (first, second, first):
        assert aliases.move(database, model_id, "production", caller=ANN).id == model_id
        assert resolved(database, "insects@production") == model_id
    with database.read() as session:
        assert len(session.scalars(select(AliasRow)).all()) == 1


def test_the_newest_version_is_latest(database: Database) -> None:
    publish(database, "mdl_9")
    newest = publish(database, "mdl_1")
    assert resolved(database, "insects@latest") == newest


@pytest.mark.parametrize("name", ["개미 또는 벌", "a/b@c", "@", "per%cent?#", "x@latest", "  "])
def test_a_name_may_hold_anything(database: Database, name: str) -> None:
    model_id = publish(database, "mdl_1", name)
    aliases.move(database, f"{name}@latest", "production", caller=ANN)
    assert resolved(database, f"{name}@production") == model_id


def test_every_name_has_aliases_of_its_own(database: Database) -> None:
    one, other = publish(database, "mdl_1", "one"), publish(database, "mdl_2", "other")
    aliases.move(database, one, "production", caller=ANN)
    aliases.move(database, other, "production", caller=ANN)
    assert (resolved(database, "one@production"), resolved(database, "other@production")) == (one, other)


@pytest.mark.parametrize(
    "alias", ["", "Production", "-x", "_x", "x y", "x@y", "운영", "x" * 65, "latest", "x\n", "x.y"]
)
def test_an_alias_is_a_short_plain_word_and_not_latest(database: Database, alias: str) -> None:
    publish(database, "mdl_1")
    assert refusal(lambda: aliases.move(database, "mdl_1", alias, caller=ANN), InvalidError) == "invalid_alias"


def test_aliases_of_64_characters_are_stored_whole(database: Database) -> None:
    model_id, alias = publish(database, "mdl_1"), "0" + "a_-9" * 15 + "xyz"
    aliases.move(database, model_id, alias, caller=ANN)
    assert len(alias) == 64
    assert resolved(database, f"insects@{alias}") == model_id


def test_what_is_not_there_is_told_apart(database: Database) -> None:
    publish(database, "mdl_1")
    assert refusal(lambda: resolved(database, "mdl_2"), NotFoundError) == "model_not_found"
    assert refusal(lambda: resolved(database, "mdl_1\0"), NotFoundError) == "model_not_found"
    assert refusal(lambda: resolved(database, "insects\0@latest"), NotFoundError) == "model_not_found"
    assert refusal(lambda: resolved(database, "birds@production"), NotFoundError) == "model_not_found"
    assert refusal(lambda: resolved(database, "birds@latest"), NotFoundError) == "model_not_found"
    assert refusal(lambda: resolved(database, "insects@production"), NotFoundError) == "alias_not_found"
    assert refusal(lambda: resolved(database, "insects"), NotFoundError) == "model_not_found"


def test_a_user_moves_and_sees_none_of_anothers(database: Database) -> None:
    model_id = publish(database, "mdl_1")
    aliases.move(database, model_id, "production", caller=ANN)
    for ref in (model_id, "insects@production", "insects@latest"):
        assert refusal(lambda ref=ref: resolved(database, ref, BOB), NotFoundError) == "model_not_found"  # type: ignore[misc]
        assert refusal(lambda ref=ref: aliases.move(database, ref, "x", caller=BOB), NotFoundError)  # type: ignore[misc]
        assert refusal(lambda ref=ref: aliases.remove(database, ref, "production", caller=BOB), NotFoundError)  # type: ignore[misc]
    assert resolved(database, "insects@production") == model_id


def test_two_owners_may_use_one_name_and_alias(database: Database) -> None:
    anns, bobs = publish(database, "mdl_1"), publish(database, "mdl_2", owner="bob")
    aliases.move(database, anns, "production", caller=ANN)
    aliases.move(database, bobs, "production", caller=BOB)
    assert resolved(database, "insects@production", ANN) == anns
    assert resolved(database, "insects@production", BOB) == bobs


def test_an_admin_means_the_only_owners_model_until_there_is_one_of_his_own(database: Database) -> None:
    anns = publish(database, "mdl_1")
    aliases.move(database, anns, "production", caller=ADMIN)  # ann's alias, moved by an admin
    assert resolved(database, "insects@production", ANN) == anns
    assert resolved(database, "insects@production", ADMIN) == anns
    own = publish(database, "mdl_2", owner="root")
    assert resolved(database, "insects@latest", ADMIN) == own
    assert refusal(lambda: resolved(database, "insects@production", ADMIN), NotFoundError) == "alias_not_found"


def test_an_admin_has_to_say_whose_where_several_others_have_the_name(database: Database) -> None:
    publish(database, "mdl_1")
    publish(database, "mdl_2", owner="bob")
    assert refusal(lambda: resolved(database, "insects@latest", ADMIN), ConflictError) == "ambiguous_name"


def test_an_alias_is_removed_from_the_version_that_has_it_alone(database: Database) -> None:
    first, second = publish(database, "mdl_1"), publish(database, "mdl_2")
    aliases.move(database, first, "production", caller=ANN)
    remove = aliases.remove
    assert refusal(lambda: remove(database, second, "production", caller=ANN), NotFoundError) == "alias_not_found"
    remove(database, first, "production", caller=ANN)
    assert refusal(lambda: remove(database, first, "production", caller=ANN), NotFoundError) == "alias_not_found"
    assert refusal(lambda: resolved(database, "insects@production"), NotFoundError) == "alias_not_found"


def test_aliases_go_with_their_model(database: Database, tmp_path: Path) -> None:
    model_id = publish(database, "mdl_1")
    aliases.move(database, model_id, "production", caller=ANN)
    registry.delete(database, tmp_path, model_id, owner="ann")
    with database.read() as session:
        assert session.scalars(select(AliasRow)).all() == []


def test_the_aliases_of_many_models_are_read_by_one_query(database: Database) -> None:
    ids = [publish(database, f"mdl_{number}", f"name {number}") for number in range(5)]
    for model_id in ids:
        for alias in ("staging", "production"):
            aliases.move(database, model_id, alias, caller=ANN)
    asked: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *given: asked.append(str(given[2])))
    with database.read() as session:
        found = aliases.of(session, ids)
    assert len([statement for statement in asked if "aliases" in statement]) == 1
    assert {model_id: list(names) for model_id, names in found.items()} == {
        model_id: ["production", "staging"] for model_id in ids
    }


def test_of_moves_at_one_moment_the_last_wins_and_none_fails(database: Database) -> None:
    ids = [publish(database, f"mdl_{number}") for number in range(4)]
    moves = [partial(aliases.move, database, model_id, "production", caller=ANN) for model_id in ids]
    for _ in range(5):
        assert failures_at_once(*moves) == []
    with database.read() as session:
        assert len(session.scalars(select(AliasRow)).all()) == 1
    assert resolved(database, "insects@production") in ids


def test_a_move_to_a_model_that_is_being_deleted_leaves_no_alias_behind(database: Database, tmp_path: Path) -> None:
    for number in range(5):
        model_id = publish(database, f"mdl_{number}")
        failures = failures_at_once(
            partial(aliases.move, database, model_id, "production", caller=ANN),
            partial(registry.delete, database, tmp_path, model_id, owner="ann"),
        )
        assert all(isinstance(error, NotFoundError) for error in failures)
        with database.read() as session:
            assert session.scalars(select(AliasRow)).all() == []


def versioned(database: Database, ref: str, version: int | None = None, caller: Caller = ANN) -> tuple[str, int]:
    with database.read() as session:
        found = aliases.versioned(session, ref, version, caller=caller)
    return found.id, found.version


def test_a_plain_name_means_its_newest_version_or_the_one_that_is_named(database: Database) -> None:
    first, second = publish(database, "mdl_9"), publish(database, "mdl_1")
    assert versioned(database, "insects") == (second, 2)
    assert versioned(database, "insects", 1) == (first, 1)
    assert versioned(database, "insects", 1, ADMIN) == (first, 1)
    with database.read() as session:
        assert aliases.versions(session, registry.get(session, first, owner=None)) == [1, 2]


def test_an_id_or_an_alias_has_one_version_alone(database: Database) -> None:
    first, second = publish(database, "mdl_1"), publish(database, "mdl_2")
    aliases.move(database, first, "production", caller=ANN)
    for ref, right, wrong in ((first, 1, 2), (second, 2, 1), ("insects@production", 1, 2), ("insects@latest", 2, 1)):
        assert versioned(database, ref, right) == versioned(database, ref)
        assert refusal(partial(versioned, database, ref, wrong), NotFoundError) == "version_not_found"
    assert refusal(partial(versioned, database, "insects", 3), NotFoundError) == "version_not_found"


def test_a_plain_name_is_looked_for_among_ones_own(database: Database) -> None:
    publish(database, "mdl_1")
    assert refusal(partial(versioned, database, "insects", None, BOB), NotFoundError) == "model_not_found"
    assert refusal(partial(versioned, database, "mdl_1", None, BOB), NotFoundError) == "model_not_found"
    publish(database, "mdl_2", owner="bob")
    assert versioned(database, "insects", None, BOB) == ("mdl_2", 1)
    assert refusal(partial(versioned, database, "insects", None, ADMIN), ConflictError) == "ambiguous_name"
