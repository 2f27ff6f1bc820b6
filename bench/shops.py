"""What a round of in-process orders runs on: recipes that a worker process opens for itself."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bench import goods
from bench.peer import PeerShop, Taking, engine
from services.commerce import domain
from services.commerce.actions import orders
from services.commerce.domain import Line
from shared.clock import Clock, SystemClock
from shared.storage.access import Claim, Committed, Document, Transaction
from shared.storage.committer import CommitLimits
from shared.storage.database import JournalDatabase
from shared.storage.objects import ObjectInfo, ObjectStore
from shared.storage.s3 import S3Address, S3Store

PREFIX = "commerce/"


@dataclass(frozen=True, slots=True)
class Shop:
    """An opened shop: `place` takes (citizen, claim, lines); `put_seconds` grows with each PUT."""

    place: Callable[[str, Claim, list[Line]], Committed[Document]]
    close: Callable[[], None]
    put_seconds: list[float] = field(default_factory=list)


class Recipe(Protocol):
    """How to open a shop in the process that uses it. Picklable."""

    @property
    def greenlets(self) -> bool:
        """Whether its callers are greenlets of one thread; else each is a thread."""

    def open(self, callers: int) -> Shop: ...


@dataclass(frozen=True, slots=True)
class Ours:
    """Orders by the engine: the processes of one container share `directory`.

    `delay_seconds` is slept in every call to the store.
    """

    address: S3Address
    directory: Path
    delay_seconds: float = 0.0
    greenlets: bool = True

    def open(self, callers: int) -> Shop:
        clock = SystemClock()
        store = MeasuredStore(S3Store(self.address, clock), clock, self.delay_seconds)
        database = open_database(store, self.directory, clock, callers)
        # A replica that others wrote past comes level before the round, not within it.
        await_ready(database)

        def place(citizen: str, claim: Claim, lines: list[Line]) -> Committed[Document]:
            return orders.place_order(database, citizen, claim, lines, None)

        return Shop(place, database.close, store.put_seconds)


@dataclass(frozen=True, slots=True)
class Peer:
    """Orders by PostgreSQL, a connection for each caller."""

    url: str
    taking: Taking
    greenlets: bool = False
    """Its driver blocks."""

    def open(self, callers: int) -> Shop:
        shop = PeerShop(engine(self.url, callers), SystemClock(), self.taking)

        def place(citizen: str, claim: Claim, lines: list[Line]) -> Committed[Document]:
            return shop.place_order(citizen, claim, lines, None)

        return Shop(place, shop.close)


def open_database(
    store: ObjectStore, directory: Path, clock: Clock, callers: int
) -> JournalDatabase:
    """The commerce service's database, letting `callers` wait at once."""
    return JournalDatabase(
        store,
        domain.CATALOGUE,
        prefix=PREFIX,
        directory=directory,
        clock=clock,
        limits=CommitLimits(waiting_max=callers),
    )


def await_ready(database: JournalDatabase) -> None:
    """As a container's start does: a read that waits for a long opening would be refused."""
    while database.troubles():
        time.sleep(0.02)


def seed(address: S3Address, directory: Path) -> None:
    """Journal all the goods, a hundred products an entry."""
    clock = SystemClock()
    database = open_database(S3Store(address, clock), directory, clock, 1)
    rows = goods.stocked()

    def open_store(tx: Transaction) -> None:
        tx.put("stores", goods.STORE, goods.STORE_BODY)

    database.transact(open_store)
    for start in range(0, len(rows), 100):

        def add(tx: Transaction, first: int = start) -> None:
            for key, body, on_hand in rows[first : first + 100]:
                tx.put("products", key, body)
                tx.put("stock", key, domain.new_stock(on_hand))

        database.transact(add)
    database.close()


def entries(address: S3Address) -> int:
    """How many entries the journal holds: one PUT each."""
    store = S3Store(address, SystemClock())
    return len(store.list(f"{PREFIX}journal/", limit=1 << 30))


class MeasuredStore:
    """A store that notes how long each create took, and is `delay_seconds` further away."""

    def __init__(self, store: ObjectStore, clock: Clock, delay_seconds: float = 0.0) -> None:
        self._store = store
        self._clock = clock
        self._delay_seconds = delay_seconds
        self.put_seconds: list[float] = []

    def create(self, key: str, body: bytes) -> None:
        began = self._clock.monotonic()
        self._travel()
        self._store.create(key, body)
        self.put_seconds.append(self._clock.monotonic() - began)

    def get(self, key: str) -> bytes:
        self._travel()
        return self._store.get(key)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        self._travel()
        return self._store.get_range(key, start, length)

    def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[ObjectInfo]:
        self._travel()
        return self._store.list(prefix, after=after, limit=limit)

    def delete(self, key: str) -> None:
        self._travel()
        self._store.delete(key)

    def clock_skew_ms(self) -> int | None:
        return self._store.clock_skew_ms()

    def versioning(self) -> str:
        self._travel()
        return self._store.versioning()

    def _travel(self) -> None:
        if self._delay_seconds:
            self._clock.sleep(self._delay_seconds)
