"""Invariant 7, the hard half: SQLite fails, and what is stored stays stored, once and whole."""

import sqlite3
from pathlib import Path

import pytest

from shared import errors
from shared.storage.access import Transaction
from shared.storage.reader import ReplicaBroken
from tests.storage.disk import Disk
from tests.storage.world import (
    Caller,
    Container,
    World,
    add_stock,
    claim,
    key,
    note,
    problem,
    sell,
)


def large(tx: Transaction) -> None:
    """Touches documents that are there before it runs out of space."""
    tx.put("notes", "a", {"text": "changed"})
    tx.delete("notes", "b")
    for number in range(200):
        tx.put("notes", f"large{number}", {"text": "x" * 3000})


def plain_dump(path: Path) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT * FROM docs ORDER BY 1, 2").fetchall()
    rows += connection.execute("SELECT * FROM head").fetchall()
    connection.close()
    return rows


def test_what_is_stored_is_done_though_it_cannot_be_applied_here(
    here: Container, world: World, disk: Disk
) -> None:
    here.database.transact(note("a"))
    here.database.transact(note("b"))
    old, before = here.replica.path, plain_dump(here.replica.path)
    disk.fill(here)

    assert here.database.transact(large).seq == 4 == world.head()
    assert plain_dump(old) == before, "nothing of the entry is in the replica, not even a part"
    disk.free()
    assert here.database.read(lambda view: view.require("notes", "a")).value.body["text"]
    assert here.follower.rebuilds == 2
    assert here.dump() == world.replayed()


def test_while_no_replica_can_be_built_all_is_busy_and_then_nothing_is_lost(
    here: Container, world: World, disk: Disk
) -> None:
    here.database.transact(add_stock("lily", 5))
    disk.fill(here)
    done = here.database.transact(large)
    assert done.seq == 3

    outcomes = [
        Caller(lambda: here.database.read(lambda view: view.seq)).outcome(),
        Caller(lambda: here.database.transact_once(claim("k"), sell("lily"))).outcome(),
    ]
    assert [problem(outcome) for outcome in outcomes] == [errors.BUSY] * 2
    assert world.head() == 3
    here.clock.pass_monotonic(3)
    assert here.database.troubles() != []
    left = {path.resolve() for path in here.root.glob("*/*/replica.db")}
    assert left <= {here.replica.path}, "failed builds leave nothing"
    disk.free()
    assert here.database.transact_once(claim("k"), sell("lily")).seq == 4
    assert here.database.troubles() == []


def test_an_entry_is_applied_whole_or_not_at_all(
    here: Container, there: Container, world: World, disk: Disk
) -> None:
    here.database.transact(note("a"))
    here.database.transact(note("b"))
    there.probe()
    here.database.transact(large)
    before = plain_dump(there.replica.path)
    disk.fill(there)

    with pytest.raises(ReplicaBroken, match="full"):
        there.replica.apply(world.store.get(key(4)), 4)
    assert plain_dump(there.replica.path) == before
    with pytest.raises(ReplicaBroken, match="full"):
        there.replica.apply(world.store.get(key(4)), 4)
    assert plain_dump(there.replica.path) == before
    disk.free()


def test_a_transaction_that_sqlite_ended_by_itself_is_not_gone_on_with(
    here: Container, there: Container, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a full disk did inside a savepoint: the statements behind it would have committed."""
    here.database.transact(note("a"))
    target = there.replica
    index_text = target._write

    def ended(connection: sqlite3.Connection, entry: object) -> None:
        connection.execute("ROLLBACK")
        index_text(connection, entry)  # type: ignore[arg-type]

    monkeypatch.setattr(target, "_write", ended)
    with pytest.raises(ReplicaBroken):
        target.apply(world.store.get(key(2)), 2)
    assert there.database.read(lambda view: view.get("notes", "a")).value is not None
