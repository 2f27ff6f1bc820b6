"""The peer: the same domain rules, stored in PostgreSQL through SQLAlchemy Core.

What an order writes is what ours writes, each in one transaction: the idempotency key, the order,
its part for each store, its lines, the stock. It writes no events, and no audit trail; ours does
both.

Stock is taken in either of the two ways in use: `lock` reads the rows FOR UPDATE, `conditional`
updates them where enough is on hand. Rows are taken in the order of their keys, so that orders of
several lines do not deadlock, and `conditional` takes them last, so that a hot row is locked for
two round trips only.
"""

from collections.abc import Sequence
from typing import Literal

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    MetaData,
    RowMapping,
    Table,
    Text,
    bindparam,
    create_engine,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, insert

from bench import goods
from services.commerce import domain
from services.commerce.domain import Line
from shared import errors
from shared.clock import Clock, new_id
from shared.errors import Refused
from shared.storage.access import Claim, Committed, Document
from shared.storage.catalogue import Body
from shared.storage.idempotency import row_of

Taking = Literal["lock", "conditional"]

_TABLES = MetaData()
_PRODUCTS = Table(
    "products",
    _TABLES,
    Column("id", Text, primary_key=True),
    Column("store", Text, nullable=False),
    Column("price", BigInteger, nullable=False),
    Column("for_sale", Boolean, nullable=False),
    Column("body", JSONB, nullable=False),
)
_STOCK = Table(
    "stock",
    _TABLES,
    Column("product", Text, primary_key=True),
    Column("received", BigInteger, nullable=False),
    Column("on_hand", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("sold", BigInteger, nullable=False),
    # Room for new versions of a row in its own page, which is what a hot row needs.
    postgresql_with={"fillfactor": 50},
)
_ORDERS = Table(
    "orders",
    _TABLES,
    Column("id", Text, primary_key=True),
    Column("citizen", Text, nullable=False),
    Column("placed_ms", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
    Index("orders_by_citizen", "citizen", "id"),
)
_PARTS = Table(
    "order_parts",
    _TABLES,
    Column("order", Text, primary_key=True),
    Column("store", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("total", BigInteger, nullable=False),
    Index("order_parts_by_store", "store", "order"),
)
_LINES = Table(
    "order_lines",
    _TABLES,
    Column("order", Text, primary_key=True),
    Column("product", Text, primary_key=True),
    Column("store", Text, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("price", BigInteger, nullable=False),
)
_KEYS = Table(
    "idempotency",
    _TABLES,
    Column("key", Text, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("digest", Text, nullable=False),
    Column("order", Text, nullable=False),
    Index("idempotency_by_time", "at_ms"),
)

_CLAIM = insert(_KEYS).on_conflict_do_nothing().returning(_KEYS.c.key)
_CLAIMED = select(_KEYS.c.digest, _KEYS.c.order).where(_KEYS.c.key == bindparam("key"))
_INSERT_ORDER, _INSERT_PART, _INSERT_LINE = (insert(table) for table in (_ORDERS, _PARTS, _LINES))
_PRICED = select(_PRODUCTS.c.id, _PRODUCTS.c.store, _PRODUCTS.c.price, _PRODUCTS.c.for_sale).where(
    _PRODUCTS.c.id.in_(bindparam("ids", expanding=True))
)
_LOCKED = (
    select(_STOCK)
    .where(_STOCK.c.product.in_(bindparam("ids", expanding=True)))
    .order_by(_STOCK.c.product)
    .with_for_update()
)
_RESERVE = (
    update(_STOCK)
    .where(_STOCK.c.product == bindparam("id"))
    .values(
        on_hand=_STOCK.c.on_hand - bindparam("quantity"),
        reserved=_STOCK.c.reserved + bindparam("quantity"),
    )
)
_RESERVE_IF = _RESERVE.where(_STOCK.c.on_hand >= bindparam("quantity")).returning(_STOCK.c.on_hand)
_ON_HAND = select(_STOCK.c.on_hand).where(_STOCK.c.product == bindparam("id"))
_ORDER = select(_ORDERS).where(_ORDERS.c.id == bindparam("id"))
_ORDER_PARTS = select(_PARTS).where(_PARTS.c.order == bindparam("id"))
_ORDER_LINES = select(_LINES).where(_LINES.c.order == bindparam("id"))


def engine(url: str, connections: int) -> Engine:
    """A pool of `connections`, all of which may be in use at once. To be made after fork."""
    # psycopg prepares a statement on its second use; the default is its sixth.
    arguments = {"prepare_threshold": 1}
    return create_engine(url, pool_size=connections, max_overflow=0, connect_args=arguments)


def seed(url: str) -> None:
    """Make the tables, with all the goods in stock."""
    made = engine(url, 1)
    with made.begin() as connection:
        _TABLES.create_all(connection)
        rows = goods.stocked()
        connection.execute(insert(_PRODUCTS), [_product_row(key, body) for key, body, _ in rows])
        connection.execute(
            insert(_STOCK),
            [{"product": key, **domain.new_stock(on_hand)} for key, _, on_hand in rows],
        )
    made.dispose()


def audit(url: str) -> None:
    """Raise RuntimeError unless stock is conserved and every unit reserved stands in an order."""
    made = engine(url, 1)
    with made.connect() as connection:
        rows = connection.execute(select(_STOCK)).mappings().all()
        ordered = connection.execute(select(func.sum(_LINES.c.quantity))).scalar_one() or 0
    made.dispose()
    conserved = all(row["received"] == row["on_hand"] + row["reserved"] for row in rows)
    if not conserved or ordered != sum(row["reserved"] for row in rows):
        raise RuntimeError("the peer's stock and orders do not agree")


def _product_row(key: str, body: Body) -> Body:
    return {"id": key, "body": body} | {name: body[name] for name in ("store", "price", "for_sale")}


class PeerShop:
    """Orders in PostgreSQL, with the signatures and the answers of `services.commerce.actions`."""

    def __init__(self, engine: Engine, clock: Clock, taking: Taking) -> None:
        self._engine = engine
        self._clock = clock
        self._reserve = _reserve_locked if taking == "lock" else _reserve_if_enough

    def place_order(
        self, citizen: str, claim: Claim, lines: Sequence[Line], expected_total: int | None
    ) -> Committed[Document]:
        """Order all the lines or none; once for each claim."""
        wanted = domain.merged(lines)
        now_ms = self._clock.now_ms()
        order_id = new_id("order", now_ms, self._clock.random(10))
        with self._engine.begin() as connection:
            said = _claim(connection, claim, order_id, now_ms)
            if said is not None:
                return Committed(_read_order(connection, said), 1, replayed=True)
            priced = _priced(connection, wanted)
            order = domain.new_order(citizen, now_ms, priced)
            domain.check_total(order, expected_total)
            _insert_order(connection, order_id, order)
            self._reserve(connection, sorted(wanted, key=lambda line: line.product))
        return Committed(Document("orders", order_id, 1, order), 1)

    def read_order(self, citizen: str, order_id: str) -> Committed[Document]:
        """A citizen's own order."""
        with self._engine.connect() as connection:
            order = _read_order(connection, order_id)
        if order.body["citizen"] != citizen:
            raise Refused(errors.NOT_FOUND)
        return Committed(order, 1)

    def close(self) -> None:
        self._engine.dispose()


def _claim(connection: Connection, claim: Claim, order_id: str, now_ms: int) -> str | None:
    """Take the claim's key; the id of the order that has it already, if one does."""
    _, key = row_of(claim)
    row = {"key": key, "at_ms": now_ms, "digest": claim.digest, "order": order_id}
    if connection.execute(_CLAIM, row).first() is not None:
        return None
    digest, said = connection.execute(_CLAIMED, {"key": key}).one()
    if digest != claim.digest:
        raise Refused(errors.KEY_REUSED)
    return str(said)


def _priced(connection: Connection, wanted: Sequence[Line]) -> list[tuple[Line, Body]]:
    ids = [line.product for line in wanted]
    found = connection.execute(_PRICED, {"ids": ids}).mappings()
    products = {row["id"]: dict(row) for row in found}
    for key in ids:
        if key not in products:
            raise Refused(domain.NOT_FOR_SALE, detail={"product": key})
        domain.check_for_sale(products[key], key)
    return [(line, products[line.product]) for line in wanted]


def _insert_order(connection: Connection, order_id: str, order: Body) -> None:
    row = {name: order[name] for name in ("citizen", "placed_ms", "total")}
    connection.execute(_INSERT_ORDER, {"id": order_id, **row})
    parts = [
        {"order": order_id} | {name: part[name] for name in ("store", "state", "total")}
        for part in order["parts"]
    ]
    connection.execute(_INSERT_PART, _alone(parts))
    lines = [
        {"order": order_id, "store": part["store"], **line}
        for part in order["parts"]
        for line in part["lines"]
    ]
    connection.execute(_INSERT_LINE, _alone(lines))


def _alone(rows: list[Body]) -> list[Body] | Body:
    """One row by itself is spared the pipeline that psycopg sets up for many."""
    return rows[0] if len(rows) == 1 else rows


def _reserve_locked(connection: Connection, wanted: Sequence[Line]) -> None:
    ids = [line.product for line in wanted]
    rows = connection.execute(_LOCKED, {"ids": ids}).mappings()
    stock = {row["product"]: dict(row) for row in rows}
    for line in wanted:
        domain.reserve(stock[line.product], line.product, line.quantity)
        connection.execute(_RESERVE, {"id": line.product, "quantity": line.quantity})


def _reserve_if_enough(connection: Connection, wanted: Sequence[Line]) -> None:
    for line in wanted:
        took = {"id": line.product, "quantity": line.quantity}
        if connection.execute(_RESERVE_IF, took).first() is None:
            on_hand = connection.execute(_ON_HAND, {"id": line.product}).scalar_one()
            detail = {"product": line.product, "available": on_hand}
            raise Refused(domain.SOLD_OUT, detail=detail)


def _read_order(connection: Connection, order_id: str) -> Document:
    named = {"id": order_id}
    row = connection.execute(_ORDER, named).mappings().first()
    if row is None:
        raise Refused(errors.NOT_FOUND)
    lines = connection.execute(_ORDER_LINES, named).mappings().all()
    parts = [_part(part, lines) for part in connection.execute(_ORDER_PARTS, named).mappings()]
    body = {name: row[name] for name in ("citizen", "placed_ms", "total")}
    return Document("orders", order_id, 1, {**body, "parts": parts})


def _part(part: RowMapping, lines: Sequence[RowMapping]) -> Body:
    kept = [
        {name: line[name] for name in ("product", "quantity", "price")}
        for line in lines
        if line["store"] == part["store"]
    ]
    return {"store": part["store"], "state": part["state"], "lines": kept, "total": part["total"]}
