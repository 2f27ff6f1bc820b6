"""Orders as JSON, for their citizen and for a store."""

from typing import ClassVar

from services.commerce.domain import (
    LINES_MAX,
    QUANTITY_MAX,
    REASONS,
    STATES,
    due,
    order_state,
    part_of,
)
from services.commerce.schemas.common import LILY_ID, ORDER_ID, STORE_ID, PriceSchema
from shared.auth.acting import Open, acts_json
from shared.language import Words
from shared.schemas import (
    ID,
    Choice,
    Example,
    Instant,
    Items,
    MoneySchema,
    PageQuery,
    Part,
    Schema,
    Text,
    Whole,
    acted_by,
    money,
)
from shared.storage.access import Document
from shared.storage.catalogue import Body
from shared.times import instant


class NewLineSchema(Schema):
    product_id = Text(100, pattern=ID)
    quantity = Whole(1, QUANTITY_MAX)


class NewOrderSchema(Schema):
    EXAMPLE: ClassVar[Example] = {
        "lines": [{"product_id": LILY_ID, "quantity": 2}],
        "expected_total": {"amount": 9800, "currency": "CNY"},
    }

    lines = Items(NewLineSchema, LINES_MAX, minimum=1)
    expected_total = Part(
        MoneySchema,
        required=False,
        doc=Words(
            "所见总价；价格已变则拒绝", "The total as it was shown; refused if prices have changed"
        ),
    )


class RefusalSchema(Schema):
    EXAMPLE: ClassVar[Example] = {"reason": "out_of_stock"}

    reason = Choice(*REASONS)


class LineSchema(Schema):
    product_id = Text(100)
    quantity = Whole(1, QUANTITY_MAX)
    price = Part(PriceSchema, doc=Words("下单时的单价", "Of one unit, when it was ordered"))


class OrderPartSchema(Schema):
    store_id = Text(100)
    state = Choice(*STATES)
    reason = Choice(
        *REASONS,
        required=False,
        doc=Words("店铺拒绝的原因；仅在已拒绝时有", "Why the store refused it; only where it did"),
    )
    lines = Items(LineSchema, LINES_MAX, minimum=1)
    total = Part(MoneySchema)


_PART_EXAMPLE: Example = {
    "store_id": STORE_ID,
    "state": "placed",
    "lines": [
        {
            "product_id": LILY_ID,
            "quantity": 2,
            "price": {"amount": 4900, "currency": "CNY"},
        }
    ],
    "total": {"amount": 9800, "currency": "CNY"},
}


class OrderSchema(Schema):
    EXAMPLE: ClassVar[Example] = {
        "id": ORDER_ID,
        "state": "placed",
        "placed_at": "2026-05-01T08:30:00.000Z",
        "total": {"amount": 9800, "currency": "CNY"},
        "due": {"amount": 9800, "currency": "CNY"},
        "parts": [_PART_EXAMPLE],
    }

    id = Text(100)
    state = Choice(*STATES, "partly_fulfilled")
    placed_at = Instant()
    total = Part(MoneySchema, doc=Words("下单时的总价", "As it was ordered"))
    due = Part(
        MoneySchema,
        doc=Words("其中未被拒绝或取消的部分", "Without the parts that were refused or cancelled"),
    )
    parts = Items(
        OrderPartSchema,
        LINES_MAX,
        minimum=1,
        doc=Words("每家店一部分", "One for each store"),
    )
    acted_by = acted_by()


class OrdersSchema(Schema):
    items = Items(OrderSchema, PageQuery.LIMIT_MAX)
    after = Text(1024, nullable=True)


class StoreOrderSchema(OrderPartSchema):
    EXAMPLE: ClassVar[Example] = {
        **_PART_EXAMPLE,
        "order_id": ORDER_ID,
        "placed_at": "2026-05-01T08:30:00.000Z",
    }

    order_id = Text(100)
    placed_at = Instant()


class StoreOrdersSchema(Schema):
    items = Items(StoreOrderSchema, PageQuery.LIMIT_MAX)
    after = Text(1024, nullable=True)


class StoreOrderQuery(PageQuery):
    state = Choice(*STATES, required=False, default="placed")


def order_json(order: Document, opened: Open) -> Body:
    body = order.body
    return {
        "id": order.key,
        "state": order_state(body),
        "placed_at": instant(body["placed_ms"]),
        "total": money(body["total"]),
        "due": money(due(body)),
        "parts": [_part_json(part) for part in body["parts"]],
        **acts_json(body, opened),
    }


def store_order_json(order: Document, store_id: str) -> Body:
    """A store's own part of an order: nothing of the other stores, nothing of the buyer."""
    return {
        **_part_json(part_of(order.body, store_id)),
        "order_id": order.key,
        "placed_at": instant(order.body["placed_ms"]),
    }


def _part_json(part: Body) -> Body:
    return {
        "store_id": part["store"],
        "state": part["state"],
        **({"reason": part["reason"]} if "reason" in part else {}),
        "lines": [
            {
                "product_id": line["product"],
                "quantity": line["quantity"],
                "price": money(line["price"]),
            }
            for line in part["lines"]
        ],
        "total": money(part["total"]),
    }
