"""Orders: citizens place and cancel them, stores fulfil or refuse their parts."""

import math
from collections.abc import Callable, Sequence

from services.commerce import domain
from services.commerce.actions.keepers import Keeper, kept_by, own_store
from services.commerce.domain import Line
from shared.auth.acting import Actor, note, told
from shared.clock import id_at
from shared.errors import NOT_FOUND, Refused
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
    Transaction,
    View,
)
from shared.storage.catalogue import Body


def place_order(
    database: Database,
    citizen: str,
    claim: Claim,
    lines: Sequence[Line],
    expected_total: int | None,
    actor: Actor | None = None,
    *,
    orders_max: int = 0,
) -> Committed[Document]:
    """Order all the lines or none. Raises Refused(SOLD_OUT, NOT_FOR_SALE, PRICE_CHANGED,
    TOO_MANY_ORDERS, …).

    A citizen places at most `orders_max` orders within a minute, if it is not 0.
    """
    wanted = domain.merged(lines)

    def change(tx: Transaction) -> Document:
        if orders_max:
            _check_pace(tx, citizen, orders_max)
        priced = [(line, _for_sale(tx, line)) for line in wanted]
        order = domain.new_order(citizen, tx.now_ms, priced)
        domain.check_total(order, expected_total)
        note(order, "placed", actor)
        for line in wanted:
            stock = tx.require("stock", line.product)
            domain.reserve(stock.body, line.product, line.quantity)
            tx.put("stock", line.product, stock.body)
        order_id = tx.new_id("order")
        for part in order["parts"]:
            _consign(tx, order_id, part)
        tx.emit("order.placed", {"order": order_id, **told(actor)})
        return tx.put("orders", order_id, order)

    return database.transact_once(claim, change)


def _check_pace(tx: Transaction, citizen: str, orders_max: int) -> None:
    """Raise TOO_MANY_ORDERS. Ids sort by time, so the latest orders are those behind an id."""
    since = (id_at("order", tx.now_ms - domain.ORDERS_WITHIN_MS + 1),)
    latest = tx.find("orders_by_citizen", (citizen,), after=since, limit=orders_max)
    if len(latest) == orders_max:
        free_ms = latest[0].document.body["placed_ms"] + domain.ORDERS_WITHIN_MS
        wait_seconds = max(1, math.ceil((free_ms - tx.now_ms) / 1000))
        raise Refused(domain.TOO_MANY_ORDERS, retry_after_seconds=wait_seconds)


def _consign(tx: Transaction, order_id: str, part: Body) -> None:
    """Let a store's list say where its part of an order stands."""
    row = domain.consignment(order_id, part, tx.now_ms)
    tx.put("consignments", f"{order_id}.{part['store']}", row)


def _move(tx: Transaction, lines: Sequence[Body], units: Callable[[Body, int], None]) -> None:
    """Let the units of an order's lines go where `units` takes them."""
    for line in lines:
        stock = tx.require("stock", line["product"])
        units(stock.body, line["quantity"])
        tx.put("stock", line["product"], stock.body)


def _for_sale(tx: Transaction, line: Line) -> Body:
    product = tx.get("products", line.product)
    if product is None:
        raise Refused(domain.NOT_FOR_SALE, detail={"product_id": line.product})
    domain.check_for_sale(product.body, line.product)
    return product.body


def cancel_order(
    database: Database, citizen: str, order_id: str, claim: Claim, actor: Actor | None = None
) -> Committed[Document]:
    """Cancel what of a citizen's own order is still placed. Raises Refused(NOT_CANCELLABLE)."""

    def change(tx: Transaction) -> Document:
        order = _own(tx.require("orders", order_id), citizen)
        for part in domain.cancel(order.body):
            _move(tx, part["lines"], domain.release)
            _consign(tx, order_id, part)
        domain.close(order.body, tx.now_ms)
        note(order.body, "cancelled", actor)
        tx.emit("order.cancelled", {"order": order_id, **told(actor)})
        return tx.put("orders", order_id, order.body)

    return database.transact_once(claim, change)


def read_order(
    database: Database, citizen: str, order_id: str, freshness: Freshness = FRESH
) -> Committed[Document]:
    """A citizen's own order."""
    found = database.read_one("orders", order_id, freshness)
    _own(found.value, citizen)
    return found


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
        own_store(view, keeper, store_id)
        consignments = view.find(
            "consignments_by_store", (store_id, state), limit=limit, after=after, descending=True
        )
        ids = [hit.document.body["order"] for hit in consignments]
        found = view.require_all("orders", ids)
        return [Hit(order, hit.position) for order, hit in zip(found, consignments, strict=True)]

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
        own_store(view, keeper, store_id)
        return _order_of(view, store_id, order_id)

    return database.read(query, freshness)


def fulfil_order(
    database: Database, keeper: Keeper, store_id: str, order_id: str, claim: Claim
) -> Committed[Document]:
    """Mark a store's part of an order as handed over. Raises Refused(NOT_FULFILLABLE)."""

    def change(tx: Transaction) -> Document:
        order, part = _part(tx, keeper, store_id, order_id)
        _move(tx, domain.fulfil(part), domain.sell)
        _consign(tx, order_id, part)
        domain.close(order.body, tx.now_ms)
        tx.emit("order.fulfilled", {"order": order_id, "store": store_id, **kept_by(keeper)})
        return tx.put("orders", order_id, order.body)

    return database.transact_once(claim, change)


def refuse_order(
    database: Database, keeper: Keeper, store_id: str, order_id: str, claim: Claim, reason: str
) -> Committed[Document]:
    """Put a store's part of an order back on sale, as one that it will not hand over. Raises
    Refused(NOT_REFUSABLE).
    """

    def change(tx: Transaction) -> Document:
        order, part = _part(tx, keeper, store_id, order_id)
        _move(tx, domain.refuse(part, reason), domain.release)
        _consign(tx, order_id, part)
        domain.close(order.body, tx.now_ms)
        tx.emit("order.refused", {"order": order_id, "store": store_id, **kept_by(keeper)})
        return tx.put("orders", order_id, order.body)

    return database.transact_once(claim, change)


# What a caller may touch


def _own(order: Document, citizen: str) -> Document:
    if order.body["citizen"] != citizen:
        raise Refused(NOT_FOUND)
    return order


def _part(tx: Transaction, keeper: Keeper, store_id: str, order_id: str) -> tuple[Document, Body]:
    """An order, and the part in it of a store that is the keeper's."""
    own_store(tx, keeper, store_id)
    order = _order_of(tx, store_id, order_id)
    return order, domain.part_of(order.body, store_id)


def _order_of(view: View, store_id: str, order_id: str) -> Document:
    """An order that a store has a part in."""
    order = view.require("orders", order_id)
    if all(part["store"] != store_id for part in order.body["parts"]):
        raise Refused(NOT_FOUND)
    return order
