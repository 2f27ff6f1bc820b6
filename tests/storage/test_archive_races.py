"""Archiving while others write, archive and read; crashes, lost replies, damaged volumes."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from shared import waiting
from shared.errors import BUSY
from shared.storage import archiver as archiving
from shared.storage.access import Document, Freshness, Transaction
from shared.storage.archive import Listing
from shared.storage.memory import Gate, drop, lose_reply
from shared.storage.objects import Absent, Uncertain
from shared.storage.volume import VolumeDamaged
from tests.storage.archived import (
    ARCHIVED,
    FOLDER,
    NEWER,
    archive,
    archiver,
    closed,
    fill,
    here_are,
    key,
    listed,
    objects,
    order,
    read,
    volumes,
)
from tests.storage.world import JOURNAL, PREFIX, Caller, Container, World, problem, together


@pytest.fixture(autouse=True)
def small_volumes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archiving, "RUN_DOCUMENTS_MAX", 8)
    monkeypatch.setattr(archiving, "RUN_DOCUMENTS_MIN", 1)
    monkeypatch.setattr(archiving, "VOLUME_DOCUMENTS_MAX", 12)


@pytest.fixture
def here(world: World) -> Container:
    world.sound = False  # the chain is checked here; replaying knows another catalogue
    return world.container("here", catalogue=ARCHIVED)


@pytest.fixture
def there(world: World) -> Container:
    return world.container("there", catalogue=ARCHIVED)


class Held:
    """An archiver that has stored its volume, and waits before it commits."""

    def __init__(self, container: Container) -> None:
        self._gate = Gate(reply=True)
        container.store.inject("create", self._gate, key=FOLDER)
        self._caller = Caller(archiver(container).run)
        self._gate.wait()

    def go_on(self) -> bool:
        self._gate.release()
        return self._caller.value()


def test_a_document_that_changed_meanwhile_stays(here: Container) -> None:
    fill(here, range(5))
    held = Held(here)
    changed = here.database.transact(order(2, state="reopened")).value

    assert held.go_on()

    assert here_are(here) == [key(2)]
    assert read(here, 2) == changed
    assert listed(here) == [key(number) for number in range(4, -1, -1)]


def test_a_release_lets_nothing_leave_that_a_newer_one_wrote(here: Container, world: World) -> None:
    """During a rollout; it could not tell when it is over, nor whose list it belongs into."""
    newer = world.container("newer", catalogue=NEWER)
    fill(here, range(2))
    newer.probe()
    fill(newer, range(2, 4))
    before = [read(newer, number) for number in range(4)]
    here.probe()

    assert archive(here) == 1
    assert here_are(here) == [key(2), key(3)]
    assert archiver(here).due(here.replica.head()) is None, "and claims no turn for it"

    newer.probe()
    assert archive(newer) == 1
    assert here_are(newer) == []
    assert [read(newer, number) for number in range(4)] == before
    assert [read(here, number).body.get("told") for number in range(4)] == [None] * 4


def test_an_older_document_leaves_as_it_was_written(here: Container, world: World) -> None:
    """So that the release that wrote it can still read it: it may be serving yet."""
    fill(here, range(2))
    before = [read(here, number) for number in range(2)]
    newer = world.container("newer", catalogue=NEWER)

    assert archive(newer) == 1

    here.probe()
    assert [read(here, number) for number in range(2)] == before
    assert [read(newer, number).body["told"] for number in range(2)] == [1, 1]


def test_a_change_in_the_same_entry_keeps_what_leaves(here: Container) -> None:
    """First the archiver's, then a citizen's, in one batch: both see the state before it."""
    fill(here, range(5))
    held = Held(here)
    gate = Gate()
    here.store.inject("create", gate, key=JOURNAL)
    blocker = Caller(lambda: here.database.transact(lambda tx: tx.put("notes", "n", {})))
    gate.wait()
    done = Caller(held.go_on)
    while not here.committer._queue:
        here.clock.sleep(0.001)

    def change(tx: Transaction) -> Document:
        found = tx.require("orders", key(2))
        return tx.put("orders", key(2), {**found.body, "state": "refunded"})

    changed = Caller(lambda: here.database.transact(change))
    while len(here.committer._queue) < 2:
        here.clock.sleep(0.001)
    gate.release()

    blocker.value()
    assert done.value()
    assert changed.value().value.body["number"] == 2
    assert here_are(here) == [key(2)]
    assert read(here, 2).body["state"] == "refunded"


def test_of_two_archivers_at_once_one_does_it(
    here: Container, there: Container, world: World
) -> None:
    fill(here, range(5))
    there.probe()
    held = Held(here)
    assert archiver(there).run()

    assert not held.go_on()

    here.probe()
    assert len(volumes(here)) == 1
    assert objects(world) == [volumes(here)[0].key(PREFIX)]  # the loser takes its own away
    assert [read(here, number).body["number"] for number in range(5)] == [*range(5)]


def test_a_late_archiver_takes_nothing_back(
    here: Container, there: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It bound five, three of which another has let leave meanwhile: two are as it read them."""
    fill(here, range(5))
    there.probe()
    late = Held(there)
    monkeypatch.setattr(archiving, "RUN_DOCUMENTS_MAX", 3)
    assert archiver(here).run()
    changed = here.database.transact(closed(1)).value  # brought back

    assert not late.go_on()

    here.probe()
    assert here_are(here) == [key(1), key(3), key(4)]
    assert read(here, 1) == changed
    archive(here)
    assert len(volumes(here)) == 1
    assert [read(here, number).body["number"] for number in range(5)] == [*range(5)]


def test_archivers_at_once_lose_nothing(here: Container, there: Container) -> None:
    fill(here, range(60), citizens=2)
    there.probe()

    def repeatedly(container: Container) -> None:
        worker = archiver(container)
        for _ in range(12):
            # The volume to add to may be superseded meanwhile: then this one is behind.
            with suppress(Absent):
                worker.run()
            container.probe()

    outcomes = together(lambda: repeatedly(here), lambda: repeatedly(there))

    assert outcomes == [None, None]
    here.probe()
    archive(here)
    assert here_are(here) == []
    for citizen in range(2):
        found = listed(here, f"c{citizen}")
        assert found == [key(n) for n in range(59, -1, -1) if n % 2 == citizen]


def test_a_crash_between_volume_and_entry_leaves_an_object_that_nobody_names(
    here: Container, world: World
) -> None:
    fill(here, range(5))
    here.store.inject("create", drop, key=JOURNAL, times=3)
    assert problem(Caller(archiver(here).run).outcome()) == BUSY
    assert len(here_are(here)) == 5
    assert len(objects(world)) == 1

    archive(here)

    assert here_are(here) == []
    assert len(objects(world)) == 2
    assert [read(here, number).body["number"] for number in range(5)] == [*range(5)]


def test_lost_replies_lose_nothing(here: Container) -> None:
    fill(here, range(5))
    here.store.inject("create", lose_reply, key=FOLDER)
    with pytest.raises(Uncertain):
        archiver(here).run()
    here.store.inject("create", lose_reply, key=JOURNAL)

    assert archive(here) == 1

    assert here_are(here) == []
    assert [read(here, number).body["number"] for number in range(5)] == [*range(5)]


def test_an_entry_whose_outcome_is_unknown_keeps_its_volume(here: Container, world: World) -> None:
    """It may yet land: the volume that it names has to be there then."""
    fill(here, range(5))
    here.store.inject("create", lose_reply, key=JOURNAL, times=3)
    here.store.inject("get", drop, key=JOURNAL, times=3)
    assert problem(Caller(archiver(here).run).outcome()) == BUSY

    here.probe()

    assert here_are(here) == []
    assert [read(here, number).body["number"] for number in range(5)] == [*range(5)]


def test_a_reader_on_an_older_state_comes_level(here: Container, there: Container) -> None:
    fill(here, range(5))
    archive(here)
    there.probe()
    fill(here, range(5, 9))
    archive(here)  # the volume that `there` knows is gone
    fresh = Caller(
        lambda: there.database.read(
            lambda view: view.require("orders", key(3)), Freshness(at_least_seq=1)
        )
    )

    assert fresh.value().value.body["number"] == 3


def test_a_volume_that_this_container_superseded_meanwhile_is_looked_for_anew(
    here: Container,
) -> None:
    """The replica is level then: there is nothing to hear of, and nothing is lost."""
    fill(here, range(5))
    archive(here)
    here.store.inject("get_range", gate := Gate())
    asked = Caller(lambda: read(here, 3))
    gate.wait()
    fill(here, range(5, 9))
    archive(here)
    gate.release()

    assert asked.value().body["number"] == 3


def test_a_list_looks_through_volumes_in_a_thread_of_its_own(
    here: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes long where there are many; other requests of the thread must not wait for it."""
    looked: list[str] = []
    waited: list[str] = []
    continued, apart = Listing.continued, waiting.apart

    def look(self: Listing, *rest: Any) -> Any:
        looked.append("apart" if waited else "here")
        return continued(self, *rest)

    def aside(work: Callable[[], Any]) -> Any:
        waited.append("waits")
        try:
            return apart(work)
        finally:
            waited.pop()

    monkeypatch.setattr(Listing, "continued", look)
    monkeypatch.setattr(waiting, "apart", aside)
    fill(here, range(5))
    assert len(listed(here)) == 5
    assert looked == [], "nothing has left yet"
    archive(here)
    assert len(listed(here)) == 5
    assert set(looked) == {"apart"}


@pytest.mark.parametrize("damage", [b"", b"x" * 5_000, None])
def test_a_volume_that_is_damaged_or_lost_is_busy_and_never_absent(
    damage: bytes | None, here: Container, world: World
) -> None:
    fill(here, range(5))
    archive(here)
    [name] = objects(world)
    if damage is None:
        world.store.delete(name)
    else:
        world.bucket.tamper(name, damage)

    assert problem(Caller(lambda: read(here, 2)).outcome()) == BUSY
    assert problem(Caller(lambda: listed(here)).outcome()) == BUSY


def test_a_store_that_does_not_answer_is_busy(here: Container) -> None:
    fill(here, range(5))
    archive(here)
    here.store.inject("get_range", drop)

    assert problem(Caller(lambda: read(here, 2)).outcome()) == BUSY
    assert read(here, 2).body["number"] == 2


def test_no_volume_is_made_of_a_damaged_one(here: Container, world: World) -> None:
    fill(here, range(5))
    archive(here)
    [name] = objects(world)
    world.bucket.tamper(name, world.store.get(name).replace(b"done", b"DONE", 1))
    fill(here, range(5, 9))

    with pytest.raises(VolumeDamaged, match="is not what it was"):
        archiver(here).run()
    assert len(here_are(here)) == 4
