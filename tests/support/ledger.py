"""An auditor of commerce's journal, with books of its own and none of the service's rules in them.

    ledger = audit(entries_of(store, "commerce/"))
    assert ledger.faults == []
    assert contradictions(ledger, told) == []

`audit` reads the entries themselves and checks, at *every* one of them: that it follows the one
before; that on hand + reserved + sold = received for each product and none is below zero; that what
is reserved and sold is exactly what the orders say; that an order comes whole (with its
idempotency row, its event and a consignment for each part), once, and never goes; that a part of it
that is no longer placed stays as it is; that no idempotency key is answered twice. `contradictions`
compares the end with what clients were told.

A broken law is a sentence in a list, not an exception: one walk shows all that is wrong.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from shared.clock import SystemClock
from shared.storage.access import Claim
from shared.storage.entry import Entry, UnreadableEntry, Write, decode, digest
from shared.storage.idempotency import KEPT_MS, row_of
from shared.storage.journal import Journal
from shared.storage.objects import ObjectStore

Body = dict[str, Any]
Name = tuple[str, str]


@dataclass(slots=True)
class Ledger:
    """What a journal says. `claims` leads from an idempotency row to the order it stands for;
    `writers` counts each process's entries, by `‹container›.‹process›`.
    """

    entries: int = 0
    writers: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    orders: dict[str, Body] = field(default_factory=dict)
    stock: dict[str, Body] = field(default_factory=dict)
    claims: dict[str, str] = field(default_factory=dict)

    @property
    def taken(self) -> int:
        """How many orders there are."""
        return len(self.orders)


def entries_of(store: ObjectStore, prefix: str) -> Iterator[bytes]:
    """The stored bytes of all entries; JournalGap where one is missing."""
    journal = Journal(store, prefix, SystemClock())
    head = journal.head_from(0)
    return journal.read_singly(1, head) if head else iter(())


def audit(entries: Iterable[bytes]) -> Ledger:
    """Walk a journal from entry 1."""
    auditor = _Auditor()
    for stored in entries:
        auditor.take(stored)
    return auditor.ledger


class _Auditor:
    def __init__(self) -> None:
        self.ledger = Ledger()
        self._documents: dict[Name, Write] = {}
        self._reserved: Counter[str] = Counter()
        self._sold: Counter[str] = Counter()
        self._claimed: Counter[str] = Counter()
        self._hash = ""
        self._time_ms = 0
        self._commits: set[str] = set()

    def take(self, stored: bytes) -> None:
        """Check one entry and enter it into the books."""
        self.ledger.entries += 1
        seq = self.ledger.entries
        try:
            entry = decode(stored, seq)
        except UnreadableEntry as error:
            self._fault(seq, f"cannot be read: {error}")
            self._hash = digest(stored)
            return
        self.ledger.writers[entry.writer] += 1
        self._check_chain(entry)
        self._hash, self._time_ms = digest(stored), entry.time_ms
        new_orders = self._new_orders(entry)
        self._check_claims(entry, new_orders)
        for write in entry.writes:
            self._enter(seq, write)
        self._check_whole(entry, new_orders)
        self._check_stock(entry)

    def _fault(self, seq: int, what: str) -> None:
        self.ledger.faults.append(f"entry {seq}: {what}")

    def _check_chain(self, entry: Entry) -> None:
        if entry.prev != self._hash:
            self._fault(entry.seq, "does not follow the entry before it")
        if entry.time_ms < self._time_ms:
            self._fault(entry.seq, "is older than the entry before it")
        if entry.commit in self._commits:
            self._fault(entry.seq, f"repeats commit {entry.commit}")
        if (entry.database is not None) != (entry.seq == 1):
            self._fault(entry.seq, "only entry 1 names the database")
        self._commits.add(entry.commit)

    # Documents

    def _enter(self, seq: int, write: Write) -> None:
        name = (write.collection, write.key)
        before = self._documents.get(name)
        if before is not None and write.revision <= before.revision:
            self._fault(seq, f"{write.collection}/{write.key} goes back to an older revision")
        if write.collection == "orders":
            self._enter_order(seq, write, before)
        if write.collection == "stock" and write.body is not None:
            self.ledger.stock[write.key] = orjson.loads(write.body)
        if write.body is None:
            self._documents.pop(name, None)
        else:
            self._documents[name] = write

    def _enter_order(self, seq: int, write: Write, before: Write | None) -> None:
        if write.body is None:
            self._fault(seq, f"order {write.key} is deleted")
            return
        order = orjson.loads(write.body)
        if before is not None:
            earlier = self.ledger.orders[write.key]
            self._book(earlier, -1)
            if _contents(earlier) != _contents(order):
                self._fault(seq, f"order {write.key} has other contents than it was placed with")
            for was, part in zip(earlier["parts"], order["parts"], strict=True):
                if was["state"] not in ("placed", part["state"]):
                    ended = f"{was['state']}, then {part['state']}"
                    self._fault(seq, f"a part of order {write.key} is {ended}")
        self._book(order, +1)
        self.ledger.orders[write.key] = order

    def _book(self, order: Body, sign: int) -> None:
        for part in order["parts"]:
            books = {"placed": self._reserved, "fulfilled": self._sold}.get(part["state"])
            if books is not None:
                for line in part["lines"]:
                    books[line["product"]] += sign * line["quantity"]

    # Laws

    def _new_orders(self, entry: Entry) -> set[str]:
        orders = {write.key for write in entry.writes if write.collection == "orders"}
        return {key for key in orders if ("orders", key) not in self._documents}

    def _check_claims(self, entry: Entry, new_orders: set[str]) -> None:
        for write in entry.writes:
            if write.collection == "idempotency":
                self._check_claim(entry, write, new_orders)

    def _check_claim(self, entry: Entry, write: Write, new_orders: set[str]) -> None:
        before = self._documents.get(("idempotency", write.key))
        if write.body is None:
            kept = before and orjson.loads(before.body or b"{}").get("at_ms", 0) + KEPT_MS
            if kept and kept > entry.time_ms:
                self._fault(entry.seq, f"key {write.key} is forgotten before its time")
            return
        if before is not None:
            self._fault(entry.seq, f"key {write.key} is answered twice")
        row = orjson.loads(write.body)
        if row["collection"] == "orders" and row["key"] in new_orders:
            self._claimed[row["key"]] += 1
            self.ledger.claims[write.key] = row["key"]

    def _check_whole(self, entry: Entry, new_orders: set[str]) -> None:
        placed = Counter(
            orjson.loads(event.data)["order"]
            for event in entry.events
            if event.kind == "order.placed"
        )
        for order_id in sorted(new_orders | placed.keys()):
            if placed[order_id] != (order_id in new_orders):
                self._fault(entry.seq, f"order {order_id} and its event do not go together")
            if self._claimed[order_id] != 1:
                keys = self._claimed[order_id]
                self._fault(entry.seq, f"order {order_id} was placed under {keys} keys")
        for write in entry.writes:
            if write.collection == "orders" and write.key in self.ledger.orders:
                self._check_consignments(entry.seq, write.key)

    def _check_consignments(self, seq: int, order_id: str) -> None:
        for part in self.ledger.orders[order_id]["parts"]:
            row = self._documents.get(("consignments", f"{order_id}.{part['store']}"))
            listed = {} if row is None else orjson.loads(row.body or b"{}")
            if (listed.get("order"), listed.get("state")) != (order_id, part["state"]):
                self._fault(seq, f"order {order_id} is not what store {part['store']} is shown")

    def _check_stock(self, entry: Entry) -> None:
        for product in _touched(entry, self.ledger.orders):
            stock = self.ledger.stock.get(product)
            if stock is None:
                self._fault(entry.seq, f"{product} is ordered, but was never in stock")
                continue
            on_hand, reserved, sold = stock["on_hand"], stock["reserved"], stock["sold"]
            if min(on_hand, reserved, sold) < 0:
                self._fault(entry.seq, f"{product} is oversold: {stock}")
            if on_hand + reserved + sold != stock["received"]:
                self._fault(entry.seq, f"{product} leaks: {stock}")
            if (reserved, sold) != (self._reserved[product], self._sold[product]):
                said = f"{self._reserved[product]} reserved and {self._sold[product]} sold"
                self._fault(entry.seq, f"{product} stands at {stock}, but orders say {said}")


def _contents(order: Body) -> list[object]:
    parts = [(part["store"], part["lines"], part["total"]) for part in order["parts"]]
    return [order["citizen"], order["placed_ms"], order["total"], parts]


def _touched(entry: Entry, orders: dict[str, Body]) -> list[str]:
    """The products whose stock an entry changes, or should."""
    products = {write.key for write in entry.writes if write.collection == "stock"}
    for write in entry.writes:
        if write.collection == "orders" and write.key in orders:
            products.update(_quantities(orders[write.key]))
    return sorted(products)


def _quantities(order: Body) -> dict[str, int]:
    lines = [line for part in order["parts"] for line in part["lines"]]
    return {line["product"]: line["quantity"] for line in lines}


# What clients were told


def claim_row(caller: str, route: str, key: str) -> str:
    """The name of the idempotency row of a caller's key."""
    return row_of(Claim(caller, route, key, digest=""))[1]


@dataclass(frozen=True, slots=True)
class Placed:
    """An order as the citizen who was told of it knows it; `lines` are units by product."""

    order: str
    citizen: str
    lines: dict[str, int]


@dataclass(slots=True)
class Told:
    """What clients were told for good, by idempotency row; `states` of orders' parts for stores,
    where they are told to be other than placed; `received`, what merchants added of each product.

    Complete: whoever got no definite answer asked again, under the same key, until there was one.
    """

    placed: dict[str, Placed] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    states: dict[tuple[str, str], str] = field(default_factory=dict)
    received: Counter[str] = field(default_factory=Counter)


def contradictions(ledger: Ledger, told: Told) -> list[str]:
    """Where the journal and what clients were told differ."""
    return [
        *_lost_or_changed(ledger, told),
        *(
            f"{row} was refused, yet order {ledger.claims[row]} stands"
            for row in told.refused
            if row in ledger.claims
        ),
        *_unknown(ledger, told),
        *(
            f"{product}: {units} units were added, {ledger.stock[product]} stands"
            for product, units in told.received.items()
            if ledger.stock[product]["received"] != units
        ),
    ]


def _lost_or_changed(ledger: Ledger, told: Told) -> Iterator[str]:
    ids = Counter(placed.order for placed in told.placed.values())
    for row, placed in told.placed.items():
        order = ledger.orders.get(placed.order)
        if order is None:
            yield f"order {placed.order} was acknowledged and is lost"
            continue
        if ledger.claims.get(row) != placed.order:
            yield f"key {row} was told {placed.order}; it stands for {ledger.claims.get(row)}"
        if ids[placed.order] > 1:
            yield f"order {placed.order} was told to more than one key"
        if (order["citizen"], _quantities(order)) != (placed.citizen, placed.lines):
            yield f"order {placed.order} is not what was ordered"
        for part in order["parts"]:
            expected = told.states.get((placed.order, part["store"]), "placed")
            if part["state"] != expected:
                yield f"order {placed.order} was told to be {expected} and is {part['state']}"


def _unknown(ledger: Ledger, told: Told) -> Iterator[str]:
    known = {placed.order for placed in told.placed.values()}
    for order in ledger.orders.keys() - known:
        yield f"order {order} holds stock and nobody was told of it"
