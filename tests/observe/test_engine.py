"""What the engine tells while it commits, with faults and with others who write."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from services.commerce.domain import CATALOGUE as COMMERCE
from services.commerce.domain import new_stock
from services.health.domain import CATALOGUE as HEALTH
from services.tourism.domain import CATALOGUE as TOURISM
from shared import tracing
from shared.clock import SystemClock
from shared.errors import Refused
from shared.observe.store import ObservedStore, told
from shared.storage.access import Document, Transaction
from shared.storage.catalogue import Body, Catalogue, Collection, Conserved
from shared.storage.database import JournalDatabase
from shared.storage.memory import MemoryBucket, MemoryStore
from shared.storage.objects import Uncertain
from shared.storage.telemetry import Outcome
from shared.tracing import Span, Tracer
from tests.support.waiting import wait_until

NOTES = Catalogue(Collection("notes"))


class Listener:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.outcomes: Counter[Outcome] = Counter()
        self.waits: list[float] = []

    def batch(self, changes: int) -> None:
        self.batches.append(changes)

    def commit(self, outcome: Outcome) -> None:
        self.outcomes[outcome] += 1

    def waited(self, seconds: Sequence[float]) -> None:
        self.waits += seconds


class World:
    """Databases on one bucket, each as in a container of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.clock = SystemClock()
        self.bucket = MemoryBucket(self.clock)
        self.opened: list[JournalDatabase] = []
        self.ended: list[Span] = []
        self.tracer = Tracer(self.clock, self.ended.append)

    def open(self, catalogue: Catalogue = NOTES) -> tuple[JournalDatabase, Listener, MemoryStore]:
        store = MemoryStore(self.bucket, clock=self.clock)
        listener = Listener()
        database = JournalDatabase(
            ObservedStore(store, self.clock, None),
            catalogue,
            prefix="notes/",
            directory=self.root / str(len(self.opened)),
            clock=self.clock,
            telemetry=listener,
        )
        self.opened.append(database)
        database._opened()
        return database, listener, store

    def request(self, number: int) -> Span:
        trace = f"{number:032x}"
        found = self.tracer.continued(f"00-{trace}-{'1' * 16}-01", trace, "request", 0.0)
        assert found is not None
        return found

    def named(self, name: str) -> list[Span]:
        return [span for span in self.ended if span.name == name]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    found = World(tmp_path)
    yield found
    for database in found.opened:
        database.close()


def note(key: str) -> Callable[[Transaction], Document]:
    return lambda tx: tx.put("notes", key, {"text": key})


def test_an_entry_is_counted_with_its_changes_and_their_waits(world: World) -> None:
    database, listener, _ = world.open()
    database.transact(note("a"))
    database.transact(note("b"))
    assert listener.batches == [1, 1]
    assert listener.outcomes == {"applied": 2}
    assert len(listener.waits) == 2
    assert all(0 <= wait < 10 for wait in listener.waits)


def test_a_lost_race_is_counted_and_its_batch_once(world: World) -> None:
    one, listener, store = world.open()
    other, _, _ = world.open()
    one.transact(note("first"))
    # Another writer comes in between what this one has read and what it offers.
    real = store.create
    raced = threading.Event()

    def create(key: str, body: bytes) -> None:
        if "/journal/" in key and not raced.is_set():
            raced.set()
            with tracing.within("another container's"):
                other.transact(note("winner"))
        real(key, body)

    store.create = create  # type: ignore[method-assign]
    with tracing.within(world.request(1)):
        one.transact(note("loser"))
    assert listener.outcomes == {"applied": 2, "lost_race": 1}
    assert listener.batches == [1, 1]
    assert len(listener.waits) == 2, "a change waits once, however often it is run"
    attempts = world.named("commit.attempt")
    assert [each.attributes["gansu.outcome"] for each in attempts] == ["lost_race", "applied"]
    assert len(world.named("commit.queue")) == 1


def test_what_is_not_decided_is_counted_as_that(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    database, listener, store = world.open()
    database.transact(note("first"))

    def fail(*_: object) -> bytes:
        raise Uncertain("the store is away")

    store.create = fail  # type: ignore[assignment, method-assign]
    store.get = fail  # type: ignore[assignment, method-assign]
    with tracing.within("a" * 32), pytest.raises(Refused):
        database.transact(note("second"))
    [line] = [each for each in caplog.records if "commit refused" in each.message]
    assert line.trace_ids == ["a" * 32]  # type: ignore[attr-defined]
    assert listener.outcomes["undecided"] + listener.outcomes["refused"] == 1
    assert listener.batches == [1]


def test_requests_of_one_batch_name_the_attempt_that_served_them_all(world: World) -> None:
    database, listener, store = world.open()
    database.transact(note("first"))
    reached, released = threading.Event(), threading.Event()
    real = store.create

    def create(key: str, body: bytes) -> None:
        reached.set()
        assert released.wait(20)
        real(key, body)

    store.create = create  # type: ignore[method-assign]

    def commit(number: int, at: tracing.Here) -> None:
        with tracing.within(at):
            database.transact(note(f"note-{number}"))

    # The first is on its way to the store; then two of the next three are looked at.
    here: list[tracing.Here] = ["plain", world.request(2), world.request(3), "plain too"]
    threads = [threading.Thread(target=commit, args=each) for each in enumerate(here)]
    threads[0].start()
    assert reached.wait(20)
    for thread in threads[1:]:
        thread.start()
    wait_until(lambda: database._opened().committer.waiting == 4, "three wait behind it")
    released.set()
    for thread in threads:
        thread.join(20)
    assert listener.batches == [1, 1, 3]
    [attempt] = world.named("commit.attempt")
    [put] = world.named("store.create")
    commits = world.named("commit")
    assert len(commits) == 2
    [owner] = [each for each in commits if each.span_id == attempt.parent_id]
    [linked] = [each for each in commits if each is not owner]
    assert attempt.trace_id == owner.trace_id
    assert attempt.links == [(linked.trace_id, linked.span_id)]
    assert linked.links == [(attempt.trace_id, attempt.span_id)]
    assert attempt.attributes == {
        "gansu.changes": 3,
        "gansu.entry": database.read(lambda view: view.seq).value,
        "gansu.outcome": "applied",
    }
    assert put.parent_id == attempt.span_id


def test_of_keys_only_a_journals_are_told() -> None:
    assert told("commerce/journal/00000000000000000007.json").endswith("0007.json")
    assert told("identity/keys/account_0123") == "identity/keys/…"


# The books


def test_books_that_do_not_balance_are_found(world: World) -> None:
    database, _, _ = world.open(COMMERCE)

    def put(key: str, **changes: object) -> None:
        database.transact(lambda tx: tx.put("stock", key, {**new_stock(10), **changes}))

    def unbalanced() -> int | None:
        watched = database.watched()
        assert watched is not None
        return watched.unbalanced(5.0)

    put("right")
    put("moved", on_hand=3, reserved=2, sold=5)
    assert unbalanced() == 0
    put("lost-one", on_hand=9)
    assert unbalanced() == 1
    put("below-zero", on_hand=11, sold=-1)
    put("no-number", reserved=None)
    assert unbalanced() == 3
    database.transact(lambda tx: tx.put("stock", "without", {"received": 1}))
    assert unbalanced() == 4


def _session(**slot: int) -> Body:
    own = {"start_ms": 1, "free": 2, "booked": 0, "checked_in": 0, "no_show": 0, **slot}
    right = {"start_ms": 2, "free": 0, "booked": 1, "checked_in": 1, "no_show": 0}
    return {"places": 2, "slots": [right, own]}


def test_places_of_each_slot_have_to_add_up(world: World) -> None:
    database, _, _ = world.open(HEALTH)
    watched = database.watched()
    assert watched is not None
    database.transact(lambda tx: tx.put("sessions", "right", _session()))
    assert watched.unbalanced(5.0) == 0
    database.transact(lambda tx: tx.put("sessions", "wrong", _session(booked=1)))
    assert watched.unbalanced(5.0) == 1


def test_places_of_a_tour_have_to_add_up(world: World) -> None:
    database, _, _ = world.open(TOURISM)
    watched = database.watched()
    assert watched is not None
    law = {"capacity": 5, "free": 1, "held": 1, "sold": 3}
    database.transact(lambda tx: tx.put("sessions", "right", law))
    assert watched.unbalanced(5.0) == 0
    database.transact(lambda tx: tx.put("sessions", "wrong", {**law, "free": 0}))
    assert watched.unbalanced(5.0) == 1


def test_a_law_names_members_of_documents() -> None:
    with pytest.raises(ValueError, match="not a path"):
        Catalogue(Collection("stock", conserved=Conserved("received", ("on hand",))))


def test_a_database_that_is_not_open_has_nothing_to_be_seen(tmp_path: Path) -> None:
    database = JournalDatabase(
        MemoryStore(), NOTES, prefix="", directory=tmp_path, clock=SystemClock()
    )
    assert database.watched() is None
    database.close()
