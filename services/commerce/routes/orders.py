"""Orders over HTTP: a citizen's own, and a store's part of them."""

from services.commerce.actions import orders
from services.commerce.domain import (
    NOT_CANCELLABLE,
    NOT_FOR_SALE,
    NOT_FULFILLABLE,
    NOT_REFUSABLE,
    PRICE_CHANGED,
    SOLD_OUT,
    TOO_MANY_ORDERS,
    Line,
)
from services.commerce.routes.parts import CITIZEN, MERCHANT, Commerce, keeper_of, new_router
from services.commerce.schemas import orders as schemas
from services.commerce.schemas.orders import order_json, store_order_json
from shared.language import Words
from shared.schemas import PageQuery
from shared.storage.access import Committed, Document
from shared.web.routes import Answer, Call

router = new_router()


@router.route(
    "POST /v1/orders",
    Words("下单", "Place an order"),
    scope="orders:write",
    roles=CITIZEN,
    body=schemas.NewOrderSchema,
    answer=schemas.OrderSchema,
    problems=(SOLD_OUT, NOT_FOR_SALE, PRICE_CHANGED, TOO_MANY_ORDERS),
)
def place_order(call: Call[Commerce]) -> Answer:
    lines = [Line(line["product_id"], line["quantity"]) for line in call.body["lines"]]
    seen = call.body.get("expected_total")
    made = orders.place_order(
        call.parts.database,
        call.identity.subject,
        call.claim,
        lines,
        None if seen is None else seen["amount"],
        call.identity.actor,
        orders_max=call.parts.orders_max,
    )
    answer = _order_answer(call, made)
    answer.location = f"/commerce/v1/orders/{made.value.key}"
    return answer


@router.route(
    "GET /v1/orders",
    Words("我的订单，最新在前", "My own orders, newest first"),
    scope="orders:read",
    roles=CITIZEN,
    query=PageQuery,
    answer=schemas.OrdersSchema,
)
def list_orders(call: Call[Commerce]) -> Answer:
    found = orders.list_orders(
        call.parts.database,
        call.identity.subject,
        limit=call.page.fetch,
        after=call.page.after,
        freshness=call.freshness(),
    )
    return call.page.answer(found, lambda hit: order_json(hit.document, call.delegation_of))


@router.route(
    "GET /v1/orders/{order_id}",
    Words("我的一张订单", "One of my own orders"),
    scope="orders:read",
    roles=CITIZEN,
    answer=schemas.OrderSchema,
)
def read_order(call: Call[Commerce]) -> Answer:
    found = orders.read_order(
        call.parts.database, call.identity.subject, call.path["order_id"], call.freshness()
    )
    return _order_answer(call, found)


@router.route(
    "POST /v1/orders/{order_id}/cancellation",
    Words("取消订单中尚未交货的部分", "Cancel what of an order is still placed"),
    scope="orders:write",
    roles=CITIZEN,
    answer=schemas.OrderSchema,
    problems=(NOT_CANCELLABLE,),
)
def cancel_order(call: Call[Commerce]) -> Answer:
    found = orders.cancel_order(
        call.parts.database,
        call.identity.subject,
        call.path["order_id"],
        call.claim,
        call.identity.actor,
    )
    return _order_answer(call, found)


def _order_answer(call: Call[Commerce], found: Committed[Document]) -> Answer:
    shown = order_json(found.value, call.delegation_of)
    return Answer(shown, found.seq, found.value.revision)


# A store's orders


@router.route(
    "GET /v1/stores/{store_id}/orders",
    Words("店铺的订单，最新在前", "A store's orders, newest first"),
    scope="stores:read",
    roles=MERCHANT,
    query=schemas.StoreOrderQuery,
    answer=schemas.StoreOrdersSchema,
)
def list_store_orders(call: Call[Commerce]) -> Answer:
    store_id = call.path["store_id"]
    found = orders.list_store_orders(
        call.parts.database,
        keeper_of(call),
        store_id,
        call.query["state"],
        limit=call.page.fetch,
        after=call.page.after,
        freshness=call.freshness(),
    )
    return call.page.answer(found, lambda hit: store_order_json(hit.document, store_id))


@router.route(
    "GET /v1/stores/{store_id}/orders/{order_id}",
    Words("店铺的一张订单", "One of a store's orders"),
    scope="stores:read",
    roles=MERCHANT,
    answer=schemas.StoreOrderSchema,
)
def read_store_order(call: Call[Commerce]) -> Answer:
    found = orders.read_store_order(
        call.parts.database,
        keeper_of(call),
        call.path["store_id"],
        call.path["order_id"],
        call.freshness(),
    )
    return _store_order_answer(call, found)


@router.route(
    "POST /v1/stores/{store_id}/orders/{order_id}/fulfilment",
    Words("确认已交货", "Mark a store's part of an order as handed over"),
    scope="stores:write",
    roles=MERCHANT,
    answer=schemas.StoreOrderSchema,
    problems=(NOT_FULFILLABLE,),
)
def fulfil_order(call: Call[Commerce]) -> Answer:
    found = orders.fulfil_order(
        call.parts.database,
        keeper_of(call),
        call.path["store_id"],
        call.path["order_id"],
        call.claim,
    )
    return _store_order_answer(call, found)


@router.route(
    "POST /v1/stores/{store_id}/orders/{order_id}/refusal",
    Words("拒绝店铺的那部分订单", "Refuse a store's part of an order"),
    scope="stores:write",
    roles=MERCHANT,
    body=schemas.RefusalSchema,
    answer=schemas.StoreOrderSchema,
    problems=(NOT_REFUSABLE,),
)
def refuse_order(call: Call[Commerce]) -> Answer:
    found = orders.refuse_order(
        call.parts.database,
        keeper_of(call),
        call.path["store_id"],
        call.path["order_id"],
        call.claim,
        call.body["reason"],
    )
    return _store_order_answer(call, found)


def _store_order_answer(call: Call[Commerce], found: Committed[Document]) -> Answer:
    shown = store_order_json(found.value, call.path["store_id"])
    return Answer(shown, found.seq, found.value.revision)
