"""Invariants 6 and 8: what is wrong with the journal is named, not skipped, not written past."""

import threading
from collections.abc import Callable

import orjson
import pytest

from shared import errors
from shared.storage.access import FRESH, Freshness, recent
from shared.storage.entry import digest
from shared.storage.follower import JournalTrouble
from shared.storage.memory import garble, refuse
from shared.storage.objects import Uncertain
from tests.storage.world import (
    JOURNAL,
    Caller,
    Container,
    World,
    key,
    note,
    problem,
)


@pytest.fixture
def damaged(world: World) -> World:
    world.sound = False
    return world


def fill(container: Container, count: int = 5) -> None:
    for number in range(count):
        container.database.transact(note(f"n{number}"))


def edited(**members: object) -> Callable[[bytes], bytes]:
    return lambda stored: orjson.dumps({**orjson.loads(stored), **members})


def deep(levels: int) -> list[object]:
    value: list[object] = []
    for _ in range(levels):
        value = [value]
    return value


def writes(*rows: object) -> Callable[[bytes], bytes]:
    return edited(writes=[list(rows)])


UNREADABLE: dict[str, Callable[[bytes], bytes]] = {
    "newer format": edited(format=2),
    "empty": lambda stored: b"",
    "cut off": lambda stored: stored[: len(stored) // 2],
    "garbage": lambda stored: b"\xff\x00" * 50,
    "no object": lambda stored: b"[]",
    "other seq": edited(seq=9),
    "wrong prev": edited(prev="0" * 64),
    "no prev": edited(prev=""),
    "time of the wrong kind": edited(time_ms="now"),
    "negative revision": writes("notes", "n", -1, 1, {}),
    "document of the wrong kind": writes("notes", "n", 5 << 16, 1, [1]),
    "number beyond 53 bits": writes("notes", "n", 5 << 16, 1, {"a": 1 << 60}),
    "nested too deep": writes("notes", "n", 5 << 16, 1, {"a": deep(100)}),
    "row of the wrong length": writes("notes", "n", 5 << 16, 1),
}


def test_who_stops_at_a_bad_entry_leaves_no_threads_that_read_ahead(
    here: Container, there: Container, damaged: World
) -> None:
    fill(here, 9)
    damaged.bucket.tamper(key(4), b"garbage")

    with pytest.raises(JournalTrouble) as raised:
        there.probe()

    assert "entry 4" in str(raised.value)
    assert [each.name for each in threading.enumerate() if "journal" in each.name] == []


@pytest.mark.parametrize("damage", UNREADABLE.values(), ids=UNREADABLE)
def test_an_entry_that_cannot_be_read_is_named_and_never_skipped(
    here: Container, there: Container, damaged: World, damage: Callable[[bytes], bytes]
) -> None:
    fill(here, 2)
    there.probe()
    fill(here, 3)
    damaged.bucket.tamper(key(4), damage(damaged.store.get(key(4))))
    before = damaged.head()

    assert any("entry 4" in trouble for trouble in there.database.troubles())
    for call in (
        lambda: there.database.read(lambda view: view.seq),
        lambda: there.database.transact(lambda tx: tx.require("notes", "n4")),
        lambda: there.database.transact(note("n")),
    ):
        assert problem(Caller(call).outcome()) == errors.BUSY
    assert there.replica.head().seq == 3
    assert there.database.read(lambda view: view.seq, Freshness(at_least_seq=3)).value == 3
    assert damaged.head() == before
    there.restart(opened=False)
    assert any("entry 4" in trouble for trouble in there.database.troubles())
    assert problem(Caller(lambda: there.database.transact(note("n"))).outcome()) == errors.BUSY


def test_an_entry_that_can_be_read_again_is_trouble_no_more(
    here: Container, there: Container, damaged: World
) -> None:
    fill(here, 2)
    sound = damaged.store.get(key(2))
    damaged.bucket.tamper(key(2), edited(format=2)(sound))
    assert there.database.troubles() != []
    damaged.bucket.tamper(key(2), sound)
    there.clock.pass_monotonic(3)

    assert there.database.troubles() == []
    assert there.database.transact(note("n")).seq == 4


def test_one_garbled_answer_does_no_lasting_harm(here: Container, there: Container) -> None:
    fill(here)
    there.store.inject("get", garble(lambda stored: stored[:-9]), key=JOURNAL)
    garbled = Caller(lambda: there.database.read(lambda view: view.seq)).outcome()

    assert problem(garbled) == errors.BUSY
    assert there.database.read(lambda view: view.seq).value == 6
    assert there.database.troubles() == []


def test_an_answer_garbled_into_another_sound_entry_is_found_out(
    here: Container, there: Container
) -> None:
    fill(here, 1)
    there.store.inject("get", garble(edited(time_ms=1 << 50)), key=JOURNAL)
    there.database.read(lambda view: view.seq)
    fill(here, 2)

    assert there.database.read(lambda view: view.seq).value == 4
    assert there.dump() == here.dump()
    assert there.database.troubles() == []


@pytest.mark.parametrize("missing", [2, 4])
def test_a_gap_is_named_on_opening_and_nothing_is_written(
    here: Container, damaged: World, missing: int
) -> None:
    fill(here)
    damaged.bucket.delete(key(missing))
    there = damaged.container("there", opened=False)

    assert any(f"entry {missing} is missing" in t for t in there.database.troubles())
    for call in (
        lambda: there.database.transact(note("n")),
        lambda: there.database.read(lambda view: view.seq),
    ):
        assert problem(Caller(call).outcome()) == errors.BUSY
    assert there.store.count("create") == 0
    assert damaged.head() == 5


def test_a_gap_right_behind_a_replicas_head_keeps_its_writer_from_starting(
    here: Container, there: Container, damaged: World
) -> None:
    fill(here, 2)
    there.probe()
    there.close()
    fill(here, 3)
    damaged.bucket.delete(key(4))
    there.process(opened=False)

    assert problem(Caller(lambda: there.database.transact(note("n"))).outcome()) == errors.BUSY
    assert "entry 4 is missing" in there.database.troubles()[0]
    assert damaged.store.list(JOURNAL, after=key(3))[0].key == key(5)


def test_a_missing_first_entry_is_a_gap_not_a_new_database(here: Container, damaged: World) -> None:
    fill(here)
    damaged.bucket.delete(key(1))
    there = damaged.container("there", opened=False)

    assert any("entry 1 is missing" in trouble for trouble in there.database.troubles())
    assert there.store.count("create") == 0


def test_a_gap_behind_ones_own_head_is_found_when_the_replica_is_lost(
    here: Container, damaged: World
) -> None:
    fill(here)
    damaged.bucket.delete(key(3))
    assert here.database.transact(note("n")).seq == 7
    here.replica.path.unlink()

    assert problem(Caller(lambda: here.database.transact(note("n"))).outcome()) == errors.BUSY
    here.clock.pass_monotonic(3)
    assert any("entry 3 is missing" in trouble for trouble in here.database.troubles())
    assert damaged.store.list(JOURNAL)[-1].key == key(7)


def test_a_gap_met_while_running_stops_writing(
    here: Container, there: Container, damaged: World
) -> None:
    fill(here)
    lost = damaged.store.get(key(4))
    damaged.bucket.delete(key(4))

    for freshness in (FRESH, FRESH, recent(0.0)):
        read = Caller(lambda f=freshness: there.database.read(lambda view: view.seq, f)).outcome()  # type: ignore[misc]
        assert problem(read) == errors.BUSY
    assert problem(Caller(lambda: there.database.transact(note("n"))).outcome()) == errors.BUSY
    assert "entry 4 is missing" in there.database.troubles()[0]
    assert damaged.store.list(JOURNAL, after=key(3))[0].key == key(5)
    damaged.store.create(key(4), lost)
    assert there.database.transact(note("n")).seq == 7
    assert there.database.troubles() == []


def test_openings_that_fail_leave_nothing_behind(here: Container, damaged: World) -> None:
    fill(here)
    damaged.bucket.delete(key(4))
    there = damaged.container("there", opened=False)
    for _ in range(5):
        assert there.database.troubles() != []
        there.clock.pass_monotonic(1)

    assert list(there.root.glob("*/*/")) == []


def test_a_dead_store_is_not_asked_anew_by_every_request(world: World) -> None:
    here = world.container("here", opened=False)
    here.store.inject("list", refuse(Uncertain("500")), times=100)
    for _ in range(10):
        assert problem(Caller(lambda: here.database.read(lambda v: v.seq)).outcome()) == errors.BUSY
    asked = here.store.count("list")
    here.clock.pass_monotonic(1)
    Caller(lambda: here.database.read(lambda view: view.seq)).outcome()

    assert (asked, here.store.count("list")) == (1, 2)


def test_the_chain_names_each_entry_by_the_hash_of_its_stored_bytes(
    here: Container, world: World
) -> None:
    fill(here)
    stored = world.stored()

    assert [entry.prev for entry in world.entries()] == ["", *map(digest, stored[:-1])]
    with here.follower.reading() as reader:
        assert (reader.head.hash, reader.head.bytes) == (digest(stored[-1]), sum(map(len, stored)))


def test_entry_1_carries_a_random_database_id(tmp_path_factory: pytest.TempPathFactory) -> None:
    found = set()
    for _ in range(3):
        world = World(tmp_path_factory.mktemp("world"))
        world.container("here")
        found.add(world.entries()[0].database)
        world.close()

    assert len(found) == 3
    assert None not in found
