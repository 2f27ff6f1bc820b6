"""What the engine's tests stand on: one bucket, containers around it, and what they sell.

    world = World(tmp_path)
    here, there = world.container("here"), world.container("there")
    here.database.transact(add_stock("lily", 10))

A `Container` has a client of the bucket (to be made to fail), a clock (to be moved) and a directory
with its replica, which its processes share. `World.close` ends them all and checks what must hold
after every test: the journal's chain is whole, and every container's replica says what it says.
"""

import fcntl
import os
import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

from shared.errors import Problem, Refused
from shared.storage.access import Change, Chore, Claim, Document, Transaction
from shared.storage.catalogue import Body, Catalogue, Collection, Index
from shared.storage.committer import CommitLimits, Committer
from shared.storage.compaction import Compaction
from shared.storage.database import JournalDatabase
from shared.storage.entry import Entry, decode, digest, encode
from shared.storage.follower import Follower
from shared.storage.idempotency import with_rows
from shared.storage.memory import Gate, MemoryBucket, MemoryStore
from shared.storage.reads import probe
from shared.storage.replica import Replica, build
from shared.storage.segments import Segment
from tests.support.clock import FakeClock
from tests.support.waiting import wait_until

T = TypeVar("T")

PREFIX = "shop/"
JOURNAL = f"{PREFIX}journal/"
SNAPSHOTS = f"{PREFIX}snapshots/"
SEGMENTS = f"{PREFIX}segments/"

SOLD_OUT = Problem("sold-out", 409, "已售罄", "Sold out")


def _renamed(body: Body) -> Body:
    return {**body, "title": body.get("name", "")}


CATALOGUE = Catalogue(
    Collection("stock", indexes=(Index("stock_by_county", ("county", "left")),)),
    Collection("orders", indexes=(Index("orders_by_citizen", ("citizen", "placed_ms")),)),
    Collection("products", text=("name_zh", "name_en"), facts=("county",), numbers=("price",)),
    Collection("pages", version=2, upgrades={1: _renamed}),
    Collection("notes"),
)


class RecordedStore(MemoryStore):
    """Also remembers the bytes of every create that was asked of it."""

    def __init__(self, bucket: MemoryBucket, clock: FakeClock) -> None:
        super().__init__(bucket, clock)
        self.offered: list[tuple[str, bytes]] = []

    def create(self, key: str, body: bytes) -> None:
        self.offered.append((key, body))
        super().create(key, body)


class Container:
    """One container: its client of the bucket, its clock, its directory, its processes."""

    def __init__(
        self,
        bucket: MemoryBucket,
        root: Path,
        *,
        catalogue: Catalogue = CATALOGUE,
        limits: CommitLimits | None = None,
        clock: FakeClock | None = None,
        tails: bool = False,
        opened: bool = True,
        chore: Chore | None = None,
        archive_ms: int | None = None,
    ) -> None:
        self.clock = clock or FakeClock()
        self.store = RecordedStore(bucket, self.clock)
        self.root = root
        self.catalogue = catalogue
        self._limits = limits or CommitLimits()
        self._tails = tails
        self._chore = chore
        self._archive_ms = archive_ms
        self._lock: int | None = None
        self.processes: list[JournalDatabase] = []
        self.process(opened=opened)

    def process(self, *, opened: bool = True) -> JournalDatabase:
        """One more process of this container: a database of its own on the same replica."""
        database = JournalDatabase(
            self.store,
            self.catalogue,
            prefix=PREFIX,
            directory=self.root,
            clock=self.clock,
            writer=self.root.name,
            limits=self._limits,
            chore=self._chore,
            archive_ms=self._archive_ms,
        )
        self.processes.append(database)
        if opened:
            self.open(database)
        return database

    @property
    def database(self) -> JournalDatabase:
        """The first process's."""
        return self.processes[0]

    def open(self, database: JournalDatabase) -> None:
        """Open eagerly, and (unless it `tails`) keep the tailer from making requests of its own."""
        database._opened()
        if not self._tails and self._lock is None:
            # Whoever holds this lock is the container's tailer.
            self._lock = os.open(self.folder / "tailer.lock", os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    @property
    def folder(self) -> Path:
        """Where the replica lives."""
        return self.follower.replica.path.parent.parent

    @property
    def follower(self) -> Follower:
        return self.database._opened().follower

    @property
    def committer(self) -> Committer:
        return self.database._opened().committer

    @property
    def replica(self) -> Replica:
        return self.follower.replica

    def probe(self) -> int:
        """Follow the journal to its head."""
        return probe(self.follower)

    def dump(self) -> list[tuple[str, str, int, int, str]]:
        """All that the replica holds, in order."""
        with self.follower.reading() as reader:
            return list(reader.dump())

    @contextmanager
    def one_batch(self, *, reply: bool = False) -> Iterator[Callable[[Change[Any]], "Caller[Any]"]]:
        """Changes handed to what this gives are queued in order, and committed as one batch.

        An entry of its own goes before them: while it (or the `reply`) is held in the store, they
        queue up.
        """
        gate = Gate(reply=reply)
        self.store.inject("create", gate, key=JOURNAL)
        first = Caller(lambda: self.database.transact(note("first")))
        gate.wait()
        callers: list[Caller[Any]] = []

        def queue(change: Change[Any]) -> Caller[Any]:
            callers.append(Caller(lambda: self.database.transact(change)))
            waiting = len(callers)
            wait_until(lambda: len(self.committer._queue) == waiting, "the change is queued")
            return callers[-1]

        try:
            yield queue
        finally:
            gate.release()
            first.value()

    def close(self) -> None:
        self.clock.hurry()
        for database in self.processes:
            database.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        self.processes.clear()
        self.clock.rest()

    def restart(self, *, opened: bool = True) -> None:
        """End all processes, and start one."""
        self.close()
        self.process(opened=opened)


class World:
    """A bucket and its containers."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.clock = FakeClock()
        self.bucket = MemoryBucket(self.clock)
        self.store = MemoryStore(self.bucket, FakeClock())
        self.containers: list[Container] = []
        self.sound = True
        """Set to False by a test that leaves the journal damaged."""

    def container(self, name: str, **options: Any) -> Container:
        made = Container(self.bucket, self.root / name, **options)
        self.containers.append(made)
        return made

    def pass_wall(self, *, hours: float = 0, seconds: float = 0) -> None:
        """Let time pass for the store and every container."""
        for clock in [self.clock, *(container.clock for container in self.containers)]:
            clock.pass_wall(hours=hours, seconds=seconds)

    def entries(self) -> list[Entry]:
        """The journal, decoded, from entry 1."""
        return [decode(stored, seq) for seq, stored in enumerate(self.stored(), 1)]

    def stored(self) -> list[bytes]:
        """The journal's objects, in order."""
        return [self.store.get(info.key) for info in self.journal()]

    def journal(self) -> list[Any]:
        """The listing of the journal."""
        found = page = self.store.list(JOURNAL)
        while page:
            page = self.store.list(JOURNAL, after=page[-1].key)
            found = found + page
        return found

    def head(self) -> int:
        return len(self.journal())

    def append(self, *entries_content: Any, **fields: Any) -> Entry:
        """Store the next entry by another writer, past the engine."""
        *_, last = self.stored()
        head = decode(last, self.head())
        content = {
            "seq": head.seq + 1,
            "commit": f"foreign-{head.seq + 1}",
            "writer": "foreign",
            "prev": digest(last),
            "time_ms": head.time_ms,
        }
        made = Entry(*entries_content, **{**content, **fields})
        self.store.create(key(made.seq), encode(made))
        return made

    def replayed(self) -> list[tuple[str, str, int, int, str]]:
        """What the journal says, applied from entry 1 to a replica that no engine has touched."""
        path = self.root / f"replayed-{self.head()}-{threading.get_ident()}.db"
        path.unlink(missing_ok=True)
        build(path, with_rows(CATALOGUE), "replayed")
        replica = Replica(path, with_rows(CATALOGUE), FakeClock())
        for seq, stored in enumerate(self.stored(), 1):
            replica.apply(stored, seq)
        with replica.reading() as reader:
            documents = list(reader.dump())
        replica.close()
        return documents

    def check(self) -> None:
        """Fail unless the journal is whole and every open replica says what it says."""
        self._check_chain()
        expected = None
        for container in self.containers:
            if container.processes and container.database._parts is not None:
                expected = expected or self.replayed()
                container.probe()
                assert container.dump() == expected

    def _check_chain(self) -> None:
        before, time_ms, revisions = "", 0, set[int]()
        for info, stored in zip(self.journal(), self.stored(), strict=True):
            seq = int(info.key[len(JOURNAL) :].removesuffix(".json"))
            entry = decode(stored, seq)
            assert entry.prev == before
            assert entry.time_ms >= time_ms
            for write in entry.writes:
                assert write.revision not in revisions
                assert write.revision >> 16 == seq
                revisions.add(write.revision)
            before, time_ms = digest(stored), entry.time_ms
        assert self.head() == 0 or seq == self.head()

    def close(self) -> None:
        try:
            if self.sound:
                self.check()
        finally:
            for container in self.containers:
                container.close()


def key(seq: int) -> str:
    """The object of a journal entry."""
    return f"{JOURNAL}{seq:020d}.json"


def compaction(container: Container) -> Compaction:
    """A process's making of segments, which knows of none yet."""
    return Compaction(container.store, PREFIX, container.clock)


def compact(container: Container) -> list[Segment]:
    """Have a container make the segments that are due."""
    making, head = compaction(container), container.replica.head()
    claim = making.due(head)
    assert claim is not None
    return making.make(claim, head, lambda: False)


class Caller(Generic[T]):
    """A call made from a thread of its own."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._value: T | None = None
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._value = self._call()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test looks at it
            self.error = error

    @property
    def done(self) -> bool:
        return not self._thread.is_alive()

    def outcome(self, seconds: float = 30) -> T | Exception:
        """Wait for the call to end: what it returned or raised."""
        self._thread.join(seconds)
        if self._thread.is_alive():
            raise AssertionError(f"a call did not end within {seconds} s")
        return self.error or self._value  # type: ignore[return-value]

    def value(self, seconds: float = 30) -> T:
        """Wait for the call to end well."""
        outcome = self.outcome(seconds)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def together(*calls: Callable[[], T]) -> list[T | Exception]:
    """Make calls at the same moment; what each returned or raised."""
    barrier = threading.Barrier(len(calls))

    def start(call: Callable[[], T]) -> T:
        barrier.wait(30)
        return call()

    callers = [Caller(lambda call=call: start(call)) for call in calls]  # type: ignore[misc]
    return [caller.outcome() for caller in callers]


@contextmanager
def out_of_descriptors() -> Iterator[None]:
    """What is open stays open, and nothing more can be opened by this process."""
    most, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def problem(outcome: object) -> Problem | None:
    """What a call was refused for, if it was."""
    return outcome.problem if isinstance(outcome, Refused) else None


# What the containers sell


def note(name: str, text: str = "") -> Change[Document]:
    return lambda tx: tx.put("notes", name, {"text": text})


def add_stock(product: str, quantity: int, county: str = "620100") -> Change[Document]:
    def change(tx: Transaction) -> Document:
        stock = tx.get("stock", product)
        left = stock.body["left"] if stock else 0
        sold = stock.body["sold"] if stock else 0
        body = {"county": county, "left": left + quantity, "sold": sold}
        return tx.put("stock", product, body)

    return change


def sell(product: str, quantity: int = 1) -> Change[Document]:
    """Take from stock and place an order, or refuse SOLD_OUT."""

    def change(tx: Transaction) -> Document:
        stock = tx.require("stock", product)
        if stock.body["left"] < quantity:
            raise Refused(SOLD_OUT)
        left, sold = stock.body["left"] - quantity, stock.body["sold"] + quantity
        tx.put("stock", product, {**stock.body, "left": left, "sold": sold})
        order = {"citizen": "c1", "placed_ms": tx.now_ms, "product": product, "quantity": quantity}
        tx.emit("order.placed", {"product": product})
        return tx.put("orders", tx.new_id("order"), order)

    return change


def claim(name: str, *, digest: str = "d", caller: str = "citizen") -> Claim:
    return Claim(caller=caller, route="orders.place", key=name, digest=digest)
