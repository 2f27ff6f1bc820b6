"""What clients do, and what each operation means: as a change for the engine, and on a plain model.

An operation says twice what it does, in different words: `change` for the engine, `refusal` and
`apply` for the `Model`, which knows nothing of entries, batches or replicas. Every change emits one
event that names its operation, so that the journal tells in which order they were carried out.
"""

from dataclasses import dataclass, field
from typing import Any, Protocol

from shared.errors import Problem, Refused
from shared.storage.access import (
    Change,
    Committed,
    Database,
    Document,
    Freshness,
    ReadView,
    Transaction,
)
from shared.storage.catalogue import Catalogue, Collection, Index

Body = dict[str, Any]
Row = tuple[str, Body]

SOLD_OUT = Problem("sold-out", 409, "已售罄", "Sold out")
CLOSED = Problem("closed", 409, "已关闭", "Closed")
DONE_BEFORE = Problem("done-before", 409, "已取消", "Cancelled before")
NO_SUCH = Problem("no-such", 404, "没有", "No such thing")

CATALOGUE = Catalogue(
    Collection("stock", indexes=(Index("stock_by_left", ("left",)),)),
    Collection("orders", indexes=(Index("orders_by_citizen", ("citizen", "number")),)),
    Collection("notes"),
)


@dataclass(slots=True)
class Model:
    """The state that operations leave behind, one after another."""

    documents: dict[tuple[str, str], Body] = field(default_factory=dict)
    applied: set[int] = field(default_factory=set)

    def get(self, collection: str, key: str) -> Body | None:
        return self.documents.get((collection, key))


class Operation(Protocol):
    """Something that is done once, however often it is asked for; unless it has no `claimed`."""

    @property
    def number(self) -> int: ...

    @property
    def claimed(self) -> bool: ...

    def change(self) -> Change[Document]: ...

    def refusal(self, model: Model) -> str | None:
        """The slug it is refused with in this state."""

    def apply(self, model: Model) -> Row:
        """Carry it out; the document that is answered."""


def _done(tx: Transaction, number: int) -> None:
    tx.emit("done", {"operation": number})


@dataclass(frozen=True, slots=True)
class Restock:
    number: int
    product: str
    units: int
    claimed: bool = True

    def __str__(self) -> str:
        return f"add {self.units} to {self.product}"

    def change(self) -> Change[Document]:
        def change(tx: Transaction) -> Document:
            stock = tx.get("stock", self.product)
            body = stock.body if stock else {"left": 0, "sold": 0, "received": 0}
            body["left"] += self.units
            body["received"] += self.units
            _done(tx, self.number)
            return tx.put("stock", self.product, body)

        return change

    def refusal(self, model: Model) -> str | None:
        return None

    def apply(self, model: Model) -> Row:
        before = model.get("stock", self.product) or {"left": 0, "sold": 0, "received": 0}
        after = {
            "left": before["left"] + self.units,
            "sold": before["sold"],
            "received": before["received"] + self.units,
        }
        model.documents["stock", self.product] = after
        return self.product, after


@dataclass(frozen=True, slots=True)
class Sell:
    """Take from stock until a moment of the entries' time, and place an order."""

    number: int
    citizen: str
    product: str
    units: int
    until_ms: int
    claimed: bool = True

    def __str__(self) -> str:
        return f"{self.citizen} orders {self.units} of {self.product}"

    @property
    def key(self) -> str:
        return f"order_{self.number}"

    def change(self) -> Change[Document]:
        def change(tx: Transaction) -> Document:
            stock = tx.get("stock", self.product)
            if tx.now_ms > self.until_ms:
                raise Refused(CLOSED)
            if stock is None or stock.body["left"] < self.units:
                raise Refused(SOLD_OUT)
            stock.body["left"] -= self.units
            stock.body["sold"] += self.units
            tx.put("stock", self.product, stock.body)
            _done(tx, self.number)
            return tx.put("orders", self.key, self._order(stock.body["left"]))

        return change

    def _order(self, left: int) -> Body:
        return {
            "citizen": self.citizen,
            "number": self.number,
            "product": self.product,
            "units": self.units,
            "state": "placed",
            "left": left,
        }

    def refusal(self, model: Model) -> str | None:
        stock = model.get("stock", self.product)
        return SOLD_OUT.slug if stock is None or stock["left"] < self.units else None

    def apply(self, model: Model) -> Row:
        stock = model.documents["stock", self.product]
        left = stock["left"] - self.units
        sold = stock["sold"] + self.units
        model.documents["stock", self.product] = {**stock, "left": left, "sold": sold}
        model.documents["orders", self.key] = self._order(left)
        return self.key, self._order(left)


@dataclass(frozen=True, slots=True)
class Cancel:
    number: int
    order: str
    claimed: bool = True

    def __str__(self) -> str:
        return f"cancel {self.order}"

    def change(self) -> Change[Document]:
        def change(tx: Transaction) -> Document:
            order = tx.get("orders", self.order)
            if order is None:
                raise Refused(NO_SUCH)
            if order.body["state"] != "placed":
                raise Refused(DONE_BEFORE)
            stock = tx.require("stock", order.body["product"])
            stock.body["left"] += order.body["units"]
            stock.body["sold"] -= order.body["units"]
            order.body["state"] = "cancelled"
            tx.put("stock", stock.key, stock.body)
            _done(tx, self.number)
            return tx.put("orders", self.order, order.body)

        return change

    def refusal(self, model: Model) -> str | None:
        order = model.get("orders", self.order)
        if order is None:
            return NO_SUCH.slug
        return None if order["state"] == "placed" else DONE_BEFORE.slug

    def apply(self, model: Model) -> Row:
        order = {**model.documents["orders", self.order], "state": "cancelled"}
        stock = model.documents["stock", order["product"]]
        model.documents["stock", order["product"]] = {
            **stock,
            "left": stock["left"] + order["units"],
            "sold": stock["sold"] - order["units"],
        }
        model.documents["orders", self.order] = order
        return self.order, order


@dataclass(frozen=True, slots=True)
class Note:
    """Written, or removed if it is there, without a key: asked once, and perhaps never answered."""

    number: int
    name: str
    claimed: bool = False

    def __str__(self) -> str:
        return f"turn {self.name}"

    def change(self) -> Change[Document]:
        def change(tx: Transaction) -> Document:
            _done(tx, self.number)
            if tx.get("notes", self.name) is None:
                return tx.put("notes", self.name, {"by": self.number})
            tx.delete("notes", self.name)
            return Document("notes", self.name, 0, {})

        return change

    def refusal(self, model: Model) -> str | None:
        return None

    def apply(self, model: Model) -> Row:
        if model.documents.pop(("notes", self.name), None) is None:
            model.documents["notes", self.name] = {"by": self.number}
            return self.name, {"by": self.number}
        return self.name, {}


# Reading


class Looking(Protocol):
    """Something that is read, at one state."""

    def ask(self, database: Database, freshness: Freshness) -> Committed[list[Row]]:
        """What the engine answers. Raises Refused: NOT_FOUND of what was never there, BUSY."""

    def answer(self, model: Model) -> list[Row]: ...


@dataclass(frozen=True, slots=True)
class Glance:
    """Read one product by its key. It is never removed."""

    citizen: str
    product: str

    def __str__(self) -> str:
        return f"{self.citizen} glances at {self.product}"

    def ask(self, database: Database, freshness: Freshness) -> Committed[list[Row]]:
        found = database.read_one("stock", self.product, freshness)
        return Committed([(found.value.key, found.value.body)], found.seq)

    def answer(self, model: Model) -> list[Row]:
        stock = model.get("stock", self.product)
        return [] if stock is None else [(self.product, stock)]


@dataclass(frozen=True, slots=True)
class Look:
    """Read everything that can be read of one product and one citizen, in one view."""

    citizen: str
    product: str

    def __str__(self) -> str:
        return f"{self.citizen} looks at {self.product}"

    def ask(self, database: Database, freshness: Freshness) -> Committed[list[Row]]:
        def query(view: ReadView) -> list[Row]:
            stock = view.get("stock", self.product)
            orders = view.find("orders_by_citizen", (self.citizen,), limit=100, descending=True)
            shelf = view.find("stock_by_left", (), limit=100)
            found = [stock] if stock else []
            found += [hit.document for hit in (*orders, *shelf)]
            return [(document.key, document.body) for document in found]

        return database.read(query, freshness)

    def answer(self, model: Model) -> list[Row]:
        alone = Glance(self.citizen, self.product).answer(model)
        return alone + orders_of(model, self.citizen) + shelf(model)


def orders_of(model: Model, citizen: str) -> list[Row]:
    found = [
        (key, body)
        for (collection, key), body in model.documents.items()
        if collection == "orders" and body["citizen"] == citizen
    ]
    return sorted(found, key=lambda row: (row[1]["number"], row[0]), reverse=True)


def shelf(model: Model) -> list[Row]:
    found = [(key, body) for (name, key), body in model.documents.items() if name == "stock"]
    return sorted(found, key=lambda row: (row[1]["left"], row[0]))
