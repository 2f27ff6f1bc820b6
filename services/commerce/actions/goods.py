"""Stores, their products and stock."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.commerce import domain
from services.commerce.actions.keepers import Keeper, kept_by, own_product, own_store
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
    unchanged,
)
from shared.storage.catalogue import Body

PUBLIC = recent(1.0)
"""Catalogue pages may be a second old; nothing is decided on them."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A product as the public sees it, with the units on hand, and its place in a list."""

    product: Document
    available: int
    position: Position = ()


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
        own_store(tx, keeper, store_id)
        product_id = tx.new_id("product")
        tx.emit("product.added", {"product": product_id, **kept_by(keeper)})
        return _shelve(tx, store_id, product_id, product, 0)

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
        product = own_product(tx, keeper, product_id)
        unchanged(product, revision)
        tx.emit("product.changed", {"product": product_id, **kept_by(keeper)})
        return _offer(tx, tx.put("products", product_id, {**product.body, **changes}))

    return database.transact(change)


def count_stock(
    database: Database, keeper: Keeper, product_id: str, revision: int, on_hand: int
) -> Committed[Document]:
    """Set what is on hand after a count of the shelf. Raises Refused(STALE)."""

    def change(tx: Transaction) -> Document:
        own_product(tx, keeper, product_id)
        stock = tx.require("stock", product_id)
        unchanged(stock, revision)
        domain.adjust(stock.body, on_hand - stock.body["on_hand"])
        tx.emit("stock.counted", {"product": product_id, **kept_by(keeper)})
        return tx.put("stock", product_id, stock.body)

    return database.transact(change)


def adjust_stock(
    database: Database, keeper: Keeper, product_id: str, claim: Claim, delta: int
) -> Committed[Document]:
    """Add a delivery to the stock, or take out what was lost."""

    def change(tx: Transaction) -> Document:
        own_product(tx, keeper, product_id)
        stock = tx.require("stock", product_id)
        domain.adjust(stock.body, delta)
        tx.emit("stock.adjusted", {"product": product_id, **kept_by(keeper)})
        return tx.put("stock", product_id, stock.body)

    return database.transact_once(claim, change)


def read_stock(
    database: Database, keeper: Keeper, product_id: str, freshness: Freshness = FRESH
) -> Committed[Document]:
    """A merchant's own stock of a product."""

    def query(view: ReadView) -> Document:
        own_product(view, keeper, product_id)
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
    """Products that match. A store that they are to be of has to be there."""

    def query(view: ReadView) -> list[Offer]:
        if "store" in search.equal:
            view.require("stores", str(search.equal["store"]))
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
    return database.read_one("stores", store_id, freshness)


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
        own_store(view, keeper, store_id)
        hits = view.find(
            "products_by_store", (store_id,), limit=limit, after=after, descending=True
        )
        return [_offer(view, hit.document, hit.position) for hit in hits]

    return database.read(query, freshness)
