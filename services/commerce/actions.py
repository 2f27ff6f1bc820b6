"""One function for each thing a client can want of commerce, one transaction each.

People are subjects (`shared.auth.subjects`). What a caller may not see is NOT_FOUND, so that
nobody learns what exists. Amounts are fen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from services.commerce import domain
from services.commerce.domain import Line
from shared.errors import NOT_FOUND, STALE, Refused
from shared.storage.access import (
    FRESH,
    Claim,
    Committed,
    Database,
    Document,
    Freshness,
    Hit,
    Position,
    ReadView,
    Search,
    Transaction,
    View,
    recent,
)
from shared.storage.catalogue import Body

PUBLIC = recent(1.0)
"""Catalogue pages may be a second old; nothing is decided on them."""


@dataclass(frozen=True, slots=True)
class Keeper:
    """Who acts on a store: its owner, or an operator of the platform, who may act on any."""

    subject: str
    operator: bool = False


@dataclass(frozen=True, slots=True)
class Offer:
    """A product as the public sees it, with the units on hand, and its place in a list."""

    product: Document
    available: int
    position: Position = ()


# Stores and products


def open_store(database: Database, owner: str, claim: Claim, store: Body) -> Committed[Document]:
    """Open a store for a merchant."""

    def change(tx: Transaction) -> Document:
        body = {**store, "owner": owner, "opened_ms": tx.now_ms}
        return tx.put("stores", tx.new_id("store"), body)

    return database.transact_once(claim, change)


def plant_store(
    database: Database, store_id: str, store: Body, products: Sequence[tuple[str, Body, int]]
) -> Committed[bool]:
    """Put a sample store there with its products (id, body, units on hand), all or nothing.

    Bodies name a county (`division`) and its `prefecture`; the store's has its `owner`. False
    where the store stands already: what was sold from it since is kept.
    """

    def change(tx: Transaction) -> bool:
        if tx.get("stores", store_id) is not None:
            return False
        tx.put("stores", store_id, {**store, "opened_ms": tx.now_ms, "sample": True})
        for product_id, product, on_hand in products:
            _shelve(tx, store_id, product_id, {**product, "sample": True}, on_hand)
        return True

    return database.transact(change)


def add_product(
    database: Database, keeper: Keeper, store_id: str, claim: Claim, product: Body
) -> Committed[Document]:
    """Put a product on a merchant's shelf, with nothing in stock yet."""

    def change(tx: Transaction) -> Document:
        _own_store(tx, keeper, store_id)
        return _shelve(tx, store_id, tx.new_id("product"), product, 0)

    return database.transact_once(claim, change)


def _shelve(
    tx: Transaction, store_id: str, product_id: str, product: Body, on_hand: int
) -> Document:
    tx.put("stock", product_id, domain.new_stock(on_hand))
    body = {**product, "store": store_id, "for_sale": True, "listed_ms": tx.now_ms}
    return tx.put("products", product_id, body)


def change_product(
    database: Database, keeper: Keeper, product_id: str, revision: int, changes: Body
) -> Committed[Offer]:
    """Change a product's text, price or whether it is for sale. Raises Refused(STALE)."""

    def change(tx: Transaction) -> Offer:
        product = _own_product(tx, keeper, product_id)
        _unchanged(product, revision)
        return _offer(tx, tx.put("products", product_id, {**product.body, **changes}))

    return database.transact(change)


def count_stock(
    database: Database, keeper: Keeper, product_id: str, revision: int, on_hand: int
) -> Committed[Document]:
    """Set what is on hand after a count of the shelf. Raises Refused(STALE)."""

    def change(tx: Transaction) -> Document:
        _own_product(tx, keeper, product_id)
        stock = tx.require("stock", product_id)
        _unchanged(stock, revision)
        domain.adjust(stock.body, on_hand - stock.body["on_hand"])
        return tx.put("stock", product_id, stock.body)

    return database.transact(change)


def adjust_stock(
    database: Database, keeper: Keeper, product_id: str, claim: Claim, delta: int
) -> Committed[Document]:
    """Add a delivery to the stock, or take out what was lost."""

    def change(tx: Transaction) -> Document:
        _own_product(tx, keeper, product_id)
        stock = tx.require("stock", product_id)
        domain.adjust(stock.body, delta)
        return tx.put("stock", product_id, stock.body)

    return database.transact_once(claim, change)


def read_stock(
    database: Database, keeper: Keeper, product_id: str, freshness: Freshness = FRESH
) -> Committed[Document]:
    """A merchant's own stock of a product."""

    def query(view: ReadView) -> Document:
        _own_product(view, keeper, product_id)
        return view.require("stock", product_id)

    return database.read(query, freshness)


def read_product(
    database: Database, product_id: str, freshness: Freshness = PUBLIC
) -> Committed[Offer]:
    """A product, also one that is no longer for sale: orders still point to it."""

    def query(view: ReadView) -> Offer:
        return _offer(view, view.require("products", product_id))

    return database.read(query, freshness)


def search_products(
    database: Database,
    search: Search,
    *,
    limit: int,
    after: Position | None,
    freshness: Freshness = PUBLIC,
) -> Committed[list[Offer]]:
    """Products that match."""

    def query(view: ReadView) -> list[Offer]:
        hits = view.search(search, limit=limit, after=after)
        return [_offer(view, hit.document, hit.position) for hit in hits]

    return database.read(query, freshness)


def _offer(view: View, product: Document, position: Position = ()) -> Offer:
    stock = view.get("stock", product.key)
    return Offer(product, 0 if stock is None else stock.body["on_hand"], position)


def search_stores(
    database: Database,
    search: Search,
    *,
    limit: int,
    after: Position | None,
    freshness: Freshness = PUBLIC,
) -> Committed[list[Hit]]:
    """Stores that match."""
    return database.read(lambda view: view.search(search, limit=limit, after=after), freshness)


def read_store(
    database: Database, store_id: str, freshness: Freshness = PUBLIC
) -> Committed[Document]:
    """A store, as everyone may see it."""
    return database.read(lambda view: view.require("stores", store_id), freshness)


def list_own_stores(
    database: Database,
    owner: str,
    *,
    limit: int,
    after: Position | None,
    freshness: Freshness = FRESH,
) -> Committed[list[Hit]]:
    """A merchant's own stores, newest first."""

    def query(view: ReadView) -> list[Hit]:
        return view.find("stores_by_owner", (owner,), limit=limit, after=after, descending=True)

    return database.read(query, freshness)


def list_own_products(
    database: Database,
    keeper: Keeper,
    store_id: str,
    *,
    limit: int,
    after: Position | None,
    freshness: Freshness = FRESH,
) -> Committed[list[Offer]]:
    """All products of a merchant's own store, withdrawn ones too, newest first."""

    def query(view: ReadView) -> list[Offer]:
        _own_store(view, keeper, store_id)
        hits = view.find(
            "products_by_store", (store_id,), limit=limit, after=after, descending=True
        )
        return [_offer(view, hit.document, hit.position) for hit in hits]

    return database.read(query, freshness)


# Orders


def place_order(
    database: Database,
    citizen: str,
    claim: Claim,
    lines: Sequence[Line],
    expected_total: int | None,
) -> Committed[Document]:
    """Order all the lines or none. Raises Refused(SOLD_OUT, NOT_FOR_SALE, PRICE_CHANGED, …)."""
    wanted = domain.merged(lines)

    def change(tx: Transaction) -> Document:
        priced = [(line, _for_sale(tx, line)) for line in wanted]
        order = domain.new_order(citizen, tx.now_ms, priced)
        domain.check_total(order, expected_total)
        for line in wanted:
            stock = tx.require("stock", line.product)
            domain.reserve(stock.body, line.product, line.quantity)
            tx.put("stock", line.product, stock.body)
        order_id = tx.new_id("order")
        for part in order["parts"]:
            _consign(tx, order_id, part)
        tx.emit("order.placed", {"order": order_id})
        return tx.put("orders", order_id, order)

    return database.transact_once(claim, change)


def _consign(tx: Transaction, order_id: str, part: Body) -> None:
    """Let a store's list say where its part of an order stands."""
    row = {"store": part["store"], "state": part["state"], "order": order_id}
    tx.put("consignments", f"{order_id}.{part['store']}", row)


def _for_sale(tx: Transaction, line: Line) -> Body:
    product = tx.get("products", line.product)
    if product is None:
        raise Refused(domain.NOT_FOR_SALE, detail={"product_id": line.product})
    domain.check_for_sale(product.body, line.product)
    return product.body


def cancel_order(
    database: Database, citizen: str, order_id: str, claim: Claim
) -> Committed[Document]:
    """Cancel a citizen's own order, whole. Raises Refused(NOT_CANCELLABLE)."""

    def change(tx: Transaction) -> Document:
        order = _own_order(tx, citizen, order_id)
        for line in domain.cancel(order.body):
            stock = tx.require("stock", line["product"])
            domain.release(stock.body, line["quantity"])
            tx.put("stock", line["product"], stock.body)
        for part in order.body["parts"]:
            _consign(tx, order_id, part)
        tx.emit("order.cancelled", {"order": order_id})
        return tx.put("orders", order_id, order.body)

    return database.transact_once(claim, change)


def read_order(
    database: Database, citizen: str, order_id: str, freshness: Freshness = FRESH
) -> Committed[Document]:
    """A citizen's own order."""
    return database.read(lambda view: _own_order(view, citizen, order_id), freshness)


def list_orders(
    database: Database,
    citizen: str,
    *,
    limit: int,
    after: Position | None,
    freshness: Freshness = FRESH,
) -> Committed[list[Hit]]:
    """A citizen's own orders, newest first."""

    def query(view: ReadView) -> list[Hit]:
        return view.find("orders_by_citizen", (citizen,), limit=limit, after=after, descending=True)

    return database.read(query, freshness)


def list_store_orders(
    database: Database,
    keeper: Keeper,
    store_id: str,
    state: str,
    *,
    limit: int,
    after: Position | None,
    freshness: Freshness = FRESH,
) -> Committed[list[Hit]]:
    """The orders whose part for a merchant's store is in `state`, newest first.

    Positions are those of the consignments.
    """

    def query(view: ReadView) -> list[Hit]:
        _own_store(view, keeper, store_id)
        consignments = view.find(
            "consignments_by_store", (store_id, state), limit=limit, after=after, descending=True
        )
        return [
            Hit(view.require("orders", hit.document.body["order"]), hit.position)
            for hit in consignments
        ]

    return database.read(query, freshness)


def read_store_order(
    database: Database,
    keeper: Keeper,
    store_id: str,
    order_id: str,
    freshness: Freshness = FRESH,
) -> Committed[Document]:
    """An order that a merchant's store has a part in."""

    def query(view: ReadView) -> Document:
        _own_store(view, keeper, store_id)
        return _order_of(view, store_id, order_id)

    return database.read(query, freshness)


def fulfil_order(
    database: Database, keeper: Keeper, store_id: str, order_id: str, claim: Claim
) -> Committed[Document]:
    """Mark a store's part of an order as handed over. Raises Refused(NOT_FULFILLABLE)."""

    def change(tx: Transaction) -> Document:
        _own_store(tx, keeper, store_id)
        order = _order_of(tx, store_id, order_id)
        part = domain.part_of(order.body, store_id)
        for line in domain.fulfil(part):
            stock = tx.require("stock", line["product"])
            domain.sell(stock.body, line["quantity"])
            tx.put("stock", line["product"], stock.body)
        _consign(tx, order_id, part)
        tx.emit("order.fulfilled", {"order": order_id, "store": store_id})
        return tx.put("orders", order_id, order.body)

    return database.transact_once(claim, change)


# What a caller may touch


def _own_order(view: View, citizen: str, order_id: str) -> Document:
    order = view.require("orders", order_id)
    if order.body["citizen"] != citizen:
        raise Refused(NOT_FOUND)
    return order


def _order_of(view: View, store_id: str, order_id: str) -> Document:
    """An order that a store has a part in."""
    order = view.require("orders", order_id)
    if all(part["store"] != store_id for part in order.body["parts"]):
        raise Refused(NOT_FOUND)
    return order


def _own_store(view: View, keeper: Keeper, store_id: str) -> Document:
    store = view.require("stores", store_id)
    if store.body["owner"] != keeper.subject and not keeper.operator:
        raise Refused(NOT_FOUND)
    return store


def _own_product(view: View, keeper: Keeper, product_id: str) -> Document:
    product = view.require("products", product_id)
    _own_store(view, keeper, product.body["store"])
    return product


def _unchanged(document: Document, revision: int) -> None:
    if document.revision != revision:
        raise Refused(STALE)
