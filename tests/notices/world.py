"""What the tests of notices stand on: commerce's journal with orders, outboxes, and phones.

    street = Street(tmp_path)
    placed = street.place(3)                      # ids of the events, in order
    consumer = street.consumer(phones)
    street.drain(consumer)
    assert phones.rung() == placed

A `Life` ends at the nth thing that its consumer does to the world, as kill -9 would: nothing that
the consumer tries after that has any effect.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from services.commerce.domain import CATALOGUE
from services.commerce.notices import NOTICES
from shared.notices import outbox
from shared.notices.feed import Feed
from shared.notices.mapping import Notices
from shared.notices.message import Message, Notifier, Unsent
from shared.notices.sender import LOOK_SECONDS, Sender
from shared.notices.telemetry import SILENT, Telemetry
from shared.storage.access import (
    FRESH,
    Change,
    Claim,
    Committed,
    Database,
    Document,
    Freshness,
    Transaction,
)
from shared.storage.access import Query as Reading
from shared.storage.catalogue import Body, Catalogue
from shared.storage.database import JournalDatabase
from shared.storage.entry import Entry, decode
from shared.storage.journal import Journal
from shared.storage.memory import MemoryBucket, MemoryStore
from tests.support.clock import FakeClock

T = TypeVar("T")

SERVICE = "commerce"
CITIZEN = "subject-of-a-citizen"

DRAIN_STEPS_MAX = 400


class Death(BaseException):
    """The consumer is no more."""


class Life:
    """Counts what a consumer does to the world; ends before or after the nth of these."""

    def __init__(self, steps: int | None = None) -> None:
        self._left = steps
        self.lived = 0
        self._lock = threading.Lock()

    @property
    def is_over(self) -> bool:
        return self._left == 0

    def step(self) -> None:
        with self._lock:
            self.lived += 1
            if self._left is not None:
                self._left = max(0, self._left - 1)
                if self._left == 0:
                    raise Death


@dataclass
class MortalDatabase:
    """A database as a consumer with that life has it."""

    inner: Database
    life: Life

    def transact(self, change: Change[T]) -> Committed[T]:
        return self._lived(lambda: self.inner.transact(change))

    def transact_once(self, claim: Claim, change: Change[Document]) -> Committed[Document]:
        return self._lived(lambda: self.inner.transact_once(claim, change))

    def read(self, query: Reading[T], freshness: Freshness = FRESH) -> Committed[T]:
        return self._lived(lambda: self.inner.read(query, freshness))

    def read_one(
        self, collection: str, key: str, freshness: Freshness = FRESH
    ) -> Committed[Document]:
        return self._lived(lambda: self.inner.read_one(collection, key, freshness))

    def _lived(self, act: Callable[[], T]) -> T:
        self.life.step()
        done = act()
        self.life.step()
        return done


@dataclass
class MortalNotifier:
    """A notifier as a consumer with that life has it."""

    inner: Notifier
    life: Life

    def send(self, message: Message) -> None:
        self.life.step()
        self.inner.send(message)
        self.life.step()


Trouble = Callable[[Callable[[], None]], None]
"""What becomes of one request to `Phones`, which is handed over not yet applied."""


def away(_: Callable[[], None]) -> None:
    """Nothing arrives."""
    raise Unsent("away")


def loses_reply(apply: Callable[[], None]) -> None:
    """The message is taken, and nobody hears of it."""
    apply()
    raise Unsent("no answer")


def refuses(_: Callable[[], None]) -> None:
    raise Unsent("malformed", for_good=True)


def breaks(_: Callable[[], None]) -> None:
    raise RuntimeError("a bug")


@dataclass
class Phones:
    """A gateway that knows ids, as its contract says: a message that it had is taken, and not sent.

    `asked` is every request; `sent` what reached a phone.
    """

    asked: list[str] = field(default_factory=list)
    sent: list[Message] = field(default_factory=list)
    troubles: deque[Trouble] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, message: Message) -> None:
        with self._lock:
            self.asked.append(message.id)
            trouble = self.troubles.popleft() if self.troubles else None
            if trouble is None:
                self._take(message)
            else:
                trouble(lambda: self._take(message))

    def _take(self, message: Message) -> None:
        if all(message.id != had.id for had in self.sent):
            self.sent.append(message)

    def rung(self) -> list[str]:
        """The ids of what reached a phone, in the order of their events."""
        return sorted(message.id for message in self.sent)

    @property
    def repeats(self) -> int:
        """Requests that a gateway without a memory would have sent again."""
        return len(self.asked) - len(set(self.asked))


@dataclass
class Consumer:
    """A process of a service's notifier, but for its loop."""

    feed: Feed
    sender: Sender

    def step(self) -> int:
        """What the program does in one round; how many entries were read."""
        read = self.feed.step()
        if read:
            self.sender.wake()
        self.sender.step()
        return read


class Street:
    """Commerce's journal, and outboxes by name on the same bucket."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.clock = FakeClock()
        self.bucket = MemoryBucket(self.clock)
        self.store = MemoryStore(self.bucket, self.clock)
        self._open: list[JournalDatabase] = []
        self.service = self.open_service("service")

    def open_service(self, machine: str) -> JournalDatabase:
        """The service on a machine of that name, from now on."""
        self.service = self._database(self.store, SERVICE, CATALOGUE, machine)
        return self.service

    def close(self) -> None:
        self.clock.hurry()
        for database in self._open:
            database.close()

    def _database(
        self, store: MemoryStore, name: str, catalogue: Catalogue, directory: str
    ) -> JournalDatabase:
        made = JournalDatabase(
            store,
            catalogue,
            prefix=f"{name}/",
            directory=self.root / directory,
            clock=self.clock,
        )
        self._open.append(made)
        return made

    def outbox(
        self, name: str = "outbox", machine: str = "", store: MemoryStore | None = None
    ) -> JournalDatabase:
        """An outbox as one machine has it."""
        return self._database(
            store or MemoryStore(self.bucket, self.clock), name, outbox.CATALOGUE, name + machine
        )

    # What happens in the street

    def place(self, count: int = 1) -> list[str]:
        """Orders, in as many entries; the ids of their events."""
        return [self.happen("order.placed") for _ in range(count)]

    def place_at_once(self, count: int) -> list[str]:
        """Orders in one entry; the ids of their events."""

        def change(tx: Transaction) -> None:
            for _ in range(count):
                _happen(tx, "order.placed")

        seq = self.service.transact(change).seq
        return [event.id for event in self.entry(seq).events]

    def happen(self, kind: str) -> str:
        """An event with its order, in an entry of its own; its id."""
        self.clock.pass_wall(seconds=0.001)  # ids order by it
        seq = self.service.transact(lambda tx: _happen(tx, kind)).seq
        [event] = self.entry(seq).events
        return event.id

    def trade(self, count: int) -> None:
        """Entries without an event."""
        for _ in range(count):
            self.service.transact(lambda tx: tx.put("stock", tx.new_id("product"), {}))

    def entry(self, seq: int) -> Entry:
        stored = self.journal().read(seq)
        assert stored is not None
        return decode(stored, seq)

    def journal(self, store: MemoryStore | None = None) -> Journal:
        return Journal(store or self.store, f"{SERVICE}/", self.clock)

    # Who tells of it

    def consumer(
        self,
        notifier: Notifier,
        database: Database,
        *,
        life: Life | None = None,
        notices: Notices = NOTICES,
        parallel: int = 1,
        store: MemoryStore | None = None,
        telemetry: Telemetry = SILENT,
    ) -> Consumer:
        """A consumer as a new process has it."""
        lived = life or Life()
        mortal = MortalDatabase(database, lived)
        return Consumer(
            Feed(self.journal(store), mortal, notices, CATALOGUE, self.clock),
            Sender(
                mortal,
                MortalNotifier(notifier, lived),
                self.clock,
                parallel=parallel,
                telemetry=telemetry,
            ),
        )

    def pass_time(self, seconds: float = LOOK_SECONDS) -> None:
        """Let everybody's clock run on."""
        self.clock.pass_wall(seconds=seconds)
        self.clock.pass_monotonic(seconds)

    def drain(self, consumer: Consumer, database: Database) -> None:
        """Let a consumer work until everything is read, and sent or given up."""
        for _ in range(DRAIN_STEPS_MAX):
            if not consumer.step() and not messages(database, "waiting"):
                return
            self.pass_time()
        raise AssertionError("the outbox is never empty")


def _happen(tx: Transaction, kind: str) -> None:
    order_id = tx.new_id("order")
    tx.put("orders", order_id, {"citizen": CITIZEN})
    tx.emit(kind, {"order": order_id})


def messages(database: Database, state: str) -> list[Body]:
    """The messages of an outbox that are in a state."""
    hits = database.read(lambda view: view.find("messages_by_due", (state,), limit=1000)).value
    return [hit.document.body for hit in hits]
