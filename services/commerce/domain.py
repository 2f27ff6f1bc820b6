"""Commerce: what stores, products, stock and orders are, and which changes to them are allowed.

Pure Python on plain documents. Each function takes bodies as they stand, and either changes them
or raises `Refused` with one of the problems declared here.

The law of stock: on hand + reserved + sold = received, none below zero, at every entry. Ordering
moves units from on hand to reserved, a cancellation or refusal moves them back, fulfilment moves
them on to sold; only a merchant's count or delivery changes what was received.

Each store's part of an order is placed until one of three ends it, once and for good: the store
hands it over (fulfilled) or refuses it, or the buyer cancels whatever is still placed.

An order names no person: its citizen is a subject id, and where it goes is not kept here yet.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shared.errors import INVALID, FieldError, Problem, Refused
from shared.storage.catalogue import Archive, Body, Catalogue, Collection, Conserved, Index
from shared.times import MINUTE_MS

QUANTITY_MAX = 999
LINES_MAX = 20
PRICE_FEN_MAX = 10**9
UNITS_MAX = 10**12
CURRENCY = "CNY"
ORDERS_WITHIN_MS = MINUTE_MS
"""So many orders as a deployment allows one citizen are counted within this time."""

CATALOGUE = Catalogue(
    Collection(
        "stores",
        indexes=(Index("stores_by_owner", ("owner",)),),
        facts=("prefecture", "division"),
        numbers=("opened_ms",),
    ),
    Collection(
        "products",
        indexes=(Index("products_by_store", ("store",)),),
        text=("name_zh", "name_en", "description_zh", "description_en"),
        facts=("store", "category", "prefecture", "division", "for_sale"),
        numbers=("price", "listed_ms"),
    ),
    Collection("stock", conserved=Conserved("received", ("on_hand", "reserved", "sold"))),
    Collection(
        "orders",
        indexes=(Index("orders_by_citizen", ("citizen",)),),
        archive=Archive(since="closed_ms", list="orders_by_citizen"),
    ),
    # One row for each store in an order, so that a store's list is a walk along an index. What the
    # order says stands in the order alone; the state is here too, as it chooses the list.
    Collection(
        "consignments",
        indexes=(Index("consignments_by_store", ("store", "state")),),
        archive=Archive(since="closed_ms", list="consignments_by_store"),
    ),
)

STATES = ("placed", "fulfilled", "refused", "cancelled")
"""What a store's part of an order can be."""

REASONS = ("out_of_stock", "cannot_deliver", "buyer_unreachable")
"""Why a store refuses its part of an order."""

CATEGORIES = ("agricultural", "herbal_medicine", "food_and_drink", "cultural_works")

SOLD_OUT = Problem("sold-out", 409, "库存不足", "Not enough in stock")
NOT_FOR_SALE = Problem("not-for-sale", 409, "商品已下架", "The product is not for sale")
TOO_MANY_ORDERS = Problem(
    "too-many-orders", 429, "下单过于频繁，请稍后再试", "Too many orders within a minute"
)
PRICE_CHANGED = Problem("price-changed", 409, "价格已变动", "The price has changed")
NOT_CANCELLABLE = Problem(
    "not-cancellable", 409, "订单已不能取消", "The order can no longer be cancelled"
)
NOT_FULFILLABLE = Problem(
    "not-fulfillable", 409, "该部分订单不能发货", "This part of the order cannot be fulfilled"
)
NOT_REFUSABLE = Problem(
    "not-refusable", 409, "该部分订单已不能拒绝", "This part of the order can no longer be refused"
)
COUNT_TOO_LOW = Problem(
    "count-too-low", 409, "库存不能为负", "The stock on hand cannot go below zero"
)
COUNT_TOO_HIGH = Problem(
    "count-too-high",
    409,
    f"累计入库不能超过 {UNITS_MAX} 件",
    f"At most {UNITS_MAX} units of one product can be received in all",
)


@dataclass(frozen=True, slots=True)
class Pavilion:
    """A region's shop window: all products whose county lies under `division`."""

    id: str
    name_zh: str
    name_en: str
    division: str


PAVILIONS = (
    Pavilion("gansu", "甘肃馆", "Gansu Pavilion", "620000"),
    Pavilion("longnan", "陇南馆", "Longnan Pavilion", "621200"),
)


@dataclass(frozen=True, slots=True)
class Line:
    """So many units of one product, as a citizen asks for them."""

    product: str
    quantity: int


# Stock


def new_stock(on_hand: int = 0) -> Body:
    """Stock of a product: `received` units, all still on hand."""
    return {"received": on_hand, "on_hand": on_hand, "reserved": 0, "sold": 0}


def reserve(stock: Body, product: str, quantity: int) -> None:
    """Set units aside for an order. Raises Refused(SOLD_OUT)."""
    if stock["on_hand"] < quantity:
        raise Refused(SOLD_OUT, detail={"product_id": product, "available": stock["on_hand"]})
    stock["on_hand"] -= quantity
    stock["reserved"] += quantity


def release(stock: Body, quantity: int) -> None:
    """Put reserved units back on sale."""
    stock["reserved"] -= quantity
    stock["on_hand"] += quantity


def sell(stock: Body, quantity: int) -> None:
    """Let reserved units go to their buyer."""
    stock["reserved"] -= quantity
    stock["sold"] += quantity


def adjust(stock: Body, delta: int) -> None:
    """Add a delivery, or take out what was lost. Raises COUNT_TOO_LOW, COUNT_TOO_HIGH."""
    if stock["on_hand"] + delta < 0:
        raise Refused(COUNT_TOO_LOW, detail={"on_hand": stock["on_hand"]})
    if stock["received"] + delta > UNITS_MAX:
        raise Refused(COUNT_TOO_HIGH, detail={"received": stock["received"]})
    stock["on_hand"] += delta
    stock["received"] += delta


# Orders


def merged(lines: Iterable[Line]) -> list[Line]:
    """Lines with each product once, in the order in which they were first named.

    Raises Refused(INVALID) where one product adds up to too many, naming the line that does it.
    """
    quantities: dict[str, int] = {}
    for place, line in enumerate(lines):
        quantity = quantities.get(line.product, 0) + line.quantity
        if quantity > QUANTITY_MAX:
            raise Refused(INVALID, fields=(_too_many(f"lines.{place}.quantity"),))
        quantities[line.product] = quantity
    return [Line(product, quantity) for product, quantity in quantities.items()]


def _too_many(field: str) -> FieldError:
    return FieldError(
        field,
        f"同一商品每单最多 {QUANTITY_MAX} 件",
        f"at most {QUANTITY_MAX} of one product in an order",
    )


def check_for_sale(product: Body, product_id: str) -> None:
    """Raise Refused(NOT_FOR_SALE) for a product that its store has withdrawn."""
    if not product["for_sale"]:
        raise Refused(NOT_FOR_SALE, detail={"product_id": product_id})


def new_order(citizen: str, placed_ms: int, priced: Sequence[tuple[Line, Body]]) -> Body:
    """An order of lines, each with its product's body, as one part for each store.

    Prices are those of the moment; amounts are fen.
    """
    parts: dict[str, Body] = {}
    for line, product in priced:
        part = parts.setdefault(
            product["store"],
            {"store": product["store"], "state": "placed", "lines": [], "total": 0},
        )
        price = product["price"]
        part["lines"].append({"product": line.product, "quantity": line.quantity, "price": price})
        part["total"] += price * line.quantity
    total = sum(part["total"] for part in parts.values())
    return {
        "citizen": citizen,
        "placed_ms": placed_ms,
        "total": total,
        "parts": list(parts.values()),
    }


def check_total(order: Body, expected: int | None) -> None:
    """Raise Refused(PRICE_CHANGED) where the buyer saw another total, in fen."""
    if expected is not None and expected != order["total"]:
        total = {"amount": order["total"], "currency": CURRENCY}
        raise Refused(PRICE_CHANGED, detail={"total": total})


def order_state(order: Body) -> str:
    """The state of an order as a whole, from its parts': theirs where they agree, and otherwise
    what its buyer has got, or still waits for.
    """
    states = {part["state"] for part in order["parts"]}
    if len(states) == 1:
        return str(next(iter(states)))
    if "fulfilled" in states:
        return "partly_fulfilled"
    return "placed" if "placed" in states else "cancelled"


def due(order: Body) -> int:
    """What an order costs, in fen, without the parts that were refused or cancelled."""
    return sum(part["total"] for part in order["parts"] if part["state"] in _STANDING)


_STANDING = ("placed", "fulfilled")


def close(order: Body, now_ms: int) -> None:
    """Note when an order was over, if it is: from then on it can leave for the archive."""
    if all(part["state"] != "placed" for part in order["parts"]):
        order["closed_ms"] = now_ms


def consignment(order_id: str, part: Body, now_ms: int) -> Body:
    """What a store's list says of its part of an order."""
    row = {"store": part["store"], "state": part["state"], "order": order_id}
    return row if part["state"] == "placed" else {**row, "closed_ms": now_ms}


def cancel(order: Body) -> list[Body]:
    """Cancel what of an order is still placed; the parts whose lines are to be released.

    Raises Refused(NOT_CANCELLABLE) where no part is.
    """
    waiting = [part for part in order["parts"] if part["state"] == "placed"]
    if not waiting:
        raise Refused(NOT_CANCELLABLE, detail={"state": order_state(order)})
    for part in waiting:
        part["state"] = "cancelled"
    return waiting


def part_of(order: Body, store: str) -> Body:
    """A store's part of an order. Raises StopIteration where it has none."""
    part: Body = next(part for part in order["parts"] if part["store"] == store)
    return part


def fulfil(part: Body) -> list[Body]:
    """Mark a store's part as handed over; the lines that are sold. Raises NOT_FULFILLABLE."""
    return _ended(part, "fulfilled", NOT_FULFILLABLE)


def refuse(part: Body, reason: str) -> list[Body]:
    """Mark a store's part as one that it will not hand over, and why (`REASONS`); the lines to
    release. Raises NOT_REFUSABLE.
    """
    lines = _ended(part, "refused", NOT_REFUSABLE)
    part["reason"] = reason
    return lines


def _ended(part: Body, state: str, otherwise: Problem) -> list[Body]:
    """A part's lines, once it is in `state`. Raises `otherwise` where it has ended before."""
    if part["state"] != "placed":
        raise Refused(otherwise, detail={"state": part["state"]})
    part["state"] = state
    lines: list[Body] = part["lines"]
    return lines
