"""Forty citizens order ten units at once, in-process; and engines that are broken on purpose, which
the auditor of the proofs (tests/system/proofs) has to catch at it.

Two databases on one directory stand for the processes of one container, and another directory for
another container.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.commerce import domain
from services.commerce.actions import goods, orders
from services.commerce.domain import CATALOGUE, Line
from shared.clock import SystemClock
from shared.errors import BUSY, Refused
from shared.storage.access import Claim, Document
from shared.storage.catalogue import Body
from shared.storage.committer import CommitLimits
from shared.storage.database import JournalDatabase
from shared.storage.journal import Journal, Stored
from shared.storage.memory import MemoryBucket, MemoryStore, delay
from shared.storage.transaction import BatchTransaction
from tests.support.ledger import Placed, Told, audit, claim_row, contradictions, entries_of

LILY = "product_lily"
UNITS, CITIZENS = 10, 40
PLACE = "POST /v1/orders"
PATIENCE_SECONDS = 5.0
STORE = {"name_zh": "示例店", "name_en": "", "division": "620102", "owner": "sub_owner"}
PRODUCT = {"name_zh": "百合", "name_en": "Lily", "price": 4900}


class Shop:
    """Ten units behind some databases, and what everyone was told of them."""

    def __init__(self, bucket: MemoryBucket, databases: list[JournalDatabase]) -> None:
        self.bucket = bucket
        self.databases = databases
        self.told = Told()
        goods.plant_store(databases[0], "store_sample", STORE, [(LILY, PRODUCT, UNITS)])
        self.told.received[LILY] = UNITS
        self._start = threading.Barrier(CITIZENS)

    def race(self) -> Counter[str]:
        """What the citizens were told at last."""
        with ThreadPoolExecutor(CITIZENS) as pool:
            return Counter(pool.map(self._shop, range(CITIZENS)))

    def _shop(self, number: int) -> str:
        """One citizen orders one unit and, as if the answer was lost, asks again elsewhere."""
        self._start.wait(20)
        outcome = ""
        for turn in range(2):
            outcome = self._order(self.databases[(number + turn) % len(self.databases)], number)
        return outcome

    def _order(self, database: JournalDatabase, number: int) -> str:
        citizen = f"sub_{number}"
        row = claim_row(citizen, PLACE, "key")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                order = _placed(database, citizen)
            except Refused as refused:
                if refused.problem is not BUSY:
                    self.told.refused[row] = refused.problem.slug
                    return refused.problem.slug
            else:
                self.told.placed[row] = Placed(order.key, citizen, {LILY: 1})
                return "placed"
        return "undecided"

    def books(self) -> str:
        """All that the auditor objects to."""
        ledger = audit(entries_of(MemoryStore(self.bucket), ""))
        return "\n".join([*ledger.faults, *contradictions(ledger, self.told)])


def _placed(database: JournalDatabase, citizen: str) -> Document:
    claim = Claim(citizen, PLACE, "key", digest="")
    return orders.place_order(database, citizen, claim, [Line(LILY, 1)], None).value


@contextmanager
def opened(root: Path, *containers: str) -> Iterator[Shop]:
    """A shop before these containers' processes. Creating takes long enough to be raced, and each
    order is an entry of its own.
    """
    bucket = MemoryBucket()
    stores = [MemoryStore(bucket) for _ in containers]
    databases = [
        JournalDatabase(
            store,
            CATALOGUE,
            prefix="",
            directory=root / name,
            clock=SystemClock(),
            limits=CommitLimits(changes_max=1),
        )
        for store, name in zip(stores, containers, strict=True)
    ]
    shop = Shop(bucket, databases)
    for database in databases:
        assert not database.troubles()  # it is open
    for store in stores:
        store.inject("create", delay(SystemClock(), 0.005), times=1000)
    try:
        yield shop
    finally:
        with ThreadPoolExecutor() as pool:
            list(pool.map(JournalDatabase.close, databases))


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """Before two containers of two processes each."""
    with opened(tmp_path, "here", "here", "there", "there") as made:
        yield made


def test_ten_units_make_ten_orders_in_one_container(tmp_path: Path) -> None:
    with opened(tmp_path, "here", "here") as shop:
        assert shop.race() == {"placed": UNITS, "sold-out": CITIZENS - UNITS}
        assert shop.books() == ""


def test_ten_units_make_ten_orders_in_two_containers(shop: Shop) -> None:
    assert shop.race() == {"placed": UNITS, "sold-out": CITIZENS - UNITS}
    assert shop.books() == ""


# Broken on purpose


def test_a_store_that_overwrites_is_caught(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def overwrite(bucket: MemoryBucket, key: str, body: bytes) -> None:
        bucket.delete(key)
        stored(bucket, key, body)

    stored = MemoryBucket.create
    monkeypatch.setattr(MemoryBucket, "create", overwrite)
    shop.race()

    assert "was acknowledged and is lost" in shop.books()


def test_an_engine_that_takes_anothers_entry_for_its_own_is_caught(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Journal, "_who_holds", lambda *_: Stored())
    shop.race()

    assert "was acknowledged and is lost" in shop.books()


def test_an_engine_that_forgets_keys_is_caught(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(tx: BatchTransaction, collection: str, key: str) -> Document | None:
        return None if collection == "idempotency" else get(tx, collection, key)

    get = BatchTransaction.get
    monkeypatch.setattr(BatchTransaction, "get", forgetful)
    shop.race()

    assert "was refused, yet order" in shop.books()


def test_a_domain_that_oversells_is_caught(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def oversell(stock: Body, _: str, quantity: int) -> None:
        stock["on_hand"] -= quantity
        stock["reserved"] += quantity

    monkeypatch.setattr(domain, "reserve", oversell)
    assert shop.race() == {"placed": CITIZENS}

    assert f"{LILY} is oversold" in shop.books()


def test_a_domain_that_forgets_to_reserve_is_caught(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(domain, "reserve", lambda *_: None)
    shop.race()

    assert "but orders say" in shop.books()
