"""HTTP of commerce: parse, call one action, render."""

from dataclasses import dataclass

from services.commerce import actions, schemas
from services.commerce.actions import PUBLIC, Keeper
from services.commerce.divisions import PROVINCE, Divisions
from services.commerce.domain import (
    COUNT_TOO_HIGH,
    COUNT_TOO_LOW,
    NOT_CANCELLABLE,
    NOT_FOR_SALE,
    NOT_FULFILLABLE,
    PAVILIONS,
    PRICE_CHANGED,
    SOLD_OUT,
    Line,
    Pavilion,
)
from services.commerce.schemas import (
    order_json,
    product_json,
    stock_json,
    store_json,
    store_order_json,
)
from shared.errors import NOT_FOUND, Refused, invalid
from shared.language import Words
from shared.schemas import PageQuery
from shared.storage.access import Committed, Database, Document, Search
from shared.storage.catalogue import Body
from shared.web.routes import Answer, Call, Public, Router


@dataclass(frozen=True, slots=True)
class Commerce:
    """What the routes work with."""

    database: Database
    divisions: Divisions


router = Router[Commerce]("/commerce", Words("智慧甘肃 商城", "Smart Gansu: commerce"))

SHOP_WINDOW = Public(max_age_seconds=2, stale_seconds=60)
"""Prices and stock: short enough to order by, stale rather than nothing on a bad day."""

REFERENCE = Public(max_age_seconds=3600, stale_seconds=86_400)

CITIZEN = ("citizen",)
MERCHANT = ("merchant", "operator")


def _keeper(call: Call[Commerce]) -> Keeper:
    return Keeper(call.identity.subject, operator="operator" in call.identity.roles)


# Reference data


@router.route(
    "GET /v1/divisions",
    Words("下级行政区划", "The divisions below one"),
    public=REFERENCE,
    query=schemas.DivisionQuery,
    answer=schemas.DivisionsSchema,
)
def list_divisions(call: Call[Commerce]) -> Answer:
    page = call.page
    after = "" if page.after is None else str(page.after[0])
    parent = call.query.get("parent", PROVINCE.code)
    found = call.parts.divisions.below(parent, after=after, limit=page.fetch)
    return page.answer(
        Committed(found, 0), lambda division: schemas.division_json(division, call.language)
    )


@router.route(
    "GET /v1/divisions/{code}",
    Words("一个行政区划", "One division"),
    public=REFERENCE,
    answer=schemas.DivisionSchema,
)
def read_division(call: Call[Commerce]) -> Answer:
    division = call.parts.divisions.get(call.path["code"])
    if division is None:
        raise Refused(NOT_FOUND)
    return Answer(schemas.division_json(division, call.language))


@router.route(
    "GET /v1/pavilions",
    Words("各地方馆", "The pavilions"),
    public=REFERENCE,
    answer=schemas.PavilionsSchema,
)
def list_pavilions(call: Call[Commerce]) -> Answer:
    return Answer({"items": [schemas.pavilion_json(p, call.language) for p in PAVILIONS]})


@router.route(
    "GET /v1/pavilions/{pavilion_id}",
    Words("一个地方馆", "One pavilion"),
    public=REFERENCE,
    answer=schemas.PavilionSchema,
)
def read_pavilion(call: Call[Commerce]) -> Answer:
    return Answer(schemas.pavilion_json(_pavilion(call), call.language))


@router.route(
    "GET /v1/pavilions/{pavilion_id}/stores",
    Words("地方馆的店铺，最新在前", "A pavilion's stores, newest first"),
    public=SHOP_WINDOW,
    query=PageQuery,
    answer=schemas.StoresSchema,
)
def list_pavilion_stores(call: Call[Commerce]) -> Answer:
    return _stores(call, _pavilion(call).division)


@router.route(
    "GET /v1/pavilions/{pavilion_id}/products",
    Words("在地方馆中搜索商品", "Search a pavilion's products"),
    public=SHOP_WINDOW,
    query=schemas.ProductQuery,
    answer=schemas.ProductsSchema,
)
def search_pavilion_products(call: Call[Commerce]) -> Answer:
    # A county chosen within the pavilion narrows the search; one elsewhere finds nothing.
    within = _within(call, _pavilion(call).division)
    chosen = _within(call, call.query.get("division", PROVINCE.code))
    if any(chosen.get(member, code) != code for member, code in within.items()):
        return call.page.answer(Committed([], 0), lambda nothing: nothing)
    return _products(call, {**within, **chosen})


def _pavilion(call: Call[Commerce]) -> Pavilion:
    wanted = call.path["pavilion_id"]
    for pavilion in PAVILIONS:
        if pavilion.id == wanted:
            return pavilion
    raise Refused(NOT_FOUND)


# Stores


@router.route(
    "GET /v1/stores",
    Words("店铺，最新在前", "Stores, newest first"),
    public=SHOP_WINDOW,
    query=schemas.StoreQuery,
    answer=schemas.StoresSchema,
)
def list_stores(call: Call[Commerce]) -> Answer:
    return _stores(call, call.query.get("division", PROVINCE.code))


def _stores(call: Call[Commerce], division: str) -> Answer:
    search = Search("stores", equal=_within(call, division), order="opened_ms", descending=True)
    found = actions.search_stores(
        call.parts.database,
        search,
        limit=call.page.fetch,
        after=call.page.after,
        freshness=call.freshness(PUBLIC),
    )
    return call.page.answer(found, lambda hit: store_json(hit.document, call.language))


@router.route(
    "GET /v1/stores/{store_id}",
    Words("一家店铺", "One store"),
    public=SHOP_WINDOW,
    answer=schemas.StoreSchema,
)
def read_store(call: Call[Commerce]) -> Answer:
    found = actions.read_store(call.parts.database, call.path["store_id"], call.freshness(PUBLIC))
    return _store_answer(call, found)


@router.route(
    "POST /v1/stores",
    Words("开店", "Open a store"),
    scope="stores:write",
    roles=("merchant",),
    body=schemas.NewStoreSchema,
    answer=schemas.StoreSchema,
)
def open_store(call: Call[Commerce]) -> Answer:
    body = _placed(call, call.body)
    made = actions.open_store(call.parts.database, call.identity.subject, call.claim, body)
    answer = _store_answer(call, made)
    answer.location = f"/commerce/v1/stores/{made.value.key}"
    return answer


def _store_answer(call: Call[Commerce], found: Committed[Document]) -> Answer:
    return Answer(store_json(found.value, call.language), found.seq, found.value.revision)


@router.route(
    "GET /v1/my/stores",
    Words("我的店铺，最新在前", "My own stores, newest first"),
    scope="stores:read",
    roles=MERCHANT,
    query=PageQuery,
    answer=schemas.StoresSchema,
)
def list_own_stores(call: Call[Commerce]) -> Answer:
    found = actions.list_own_stores(
        call.parts.database,
        call.identity.subject,
        limit=call.page.fetch,
        after=call.page.after,
        freshness=call.freshness(),
    )
    return call.page.answer(found, lambda hit: store_json(hit.document, call.language))


# Products


@router.route(
    "GET /v1/products",
    Words("搜索商品", "Search products"),
    public=SHOP_WINDOW,
    query=schemas.ProductQuery,
    answer=schemas.ProductsSchema,
)
def search_products(call: Call[Commerce]) -> Answer:
    return _products(call, _within(call, call.query.get("division", PROVINCE.code)))


@router.route(
    "GET /v1/stores/{store_id}/products",
    Words("在一家店铺中搜索商品", "Search a store's products"),
    public=SHOP_WINDOW,
    query=schemas.ProductQuery,
    answer=schemas.ProductsSchema,
)
def search_store_products(call: Call[Commerce]) -> Answer:
    within = _within(call, call.query.get("division", PROVINCE.code))
    return _products(call, {**within, "store": call.path["store_id"]})


def _products(call: Call[Commerce], equal: dict[str, str]) -> Answer:
    query, page = call.query, call.page
    text = query.get("q", "")
    order, descending = _ORDERS[_sort(query)]
    search = Search(
        "products",
        text=text,
        equal={**equal, **_category(query), "for_sale": True},
        between={"price": (query.get("price_min"), query.get("price_max"))},
        order=order,
        descending=descending,
    )
    found = actions.search_products(
        call.parts.database,
        search,
        limit=page.fetch,
        after=page.after,
        freshness=call.freshness(PUBLIC),
    )
    return page.answer(found, lambda offer: product_json(offer, call.language))


_ORDERS = {
    "relevance": ("relevance", False),
    "price": ("price", False),
    "-price": ("price", True),
    "newest": ("listed_ms", True),
}


def _sort(query: Body) -> str:
    """The order of a search. Without words there is no relevance to sort by."""
    if "q" not in query and query.get("sort") in {None, "relevance"}:
        return "newest"
    return str(query.get("sort", "relevance"))


def _category(query: Body) -> dict[str, str]:
    return {"category": query["category"]} if "category" in query else {}


def _within(call: Call[Commerce], code: str) -> dict[str, str]:
    """Members that a document below a division has. Raises Refused(INVALID) on `division`."""
    division = call.parts.divisions.get(code)
    if division is None:
        raise invalid("division", "没有此区划", "is no division of Gansu")
    if division.level == "province":
        return {}
    return {"prefecture" if division.level == "prefecture" else "division": code}


@router.route(
    "GET /v1/products/{product_id}",
    Words("一件商品", "One product"),
    public=SHOP_WINDOW,
    answer=schemas.ProductSchema,
)
def read_product(call: Call[Commerce]) -> Answer:
    found = actions.read_product(
        call.parts.database, call.path["product_id"], call.freshness(PUBLIC)
    )
    offer = found.value
    return Answer(product_json(offer, call.language), found.seq, offer.product.revision)


@router.route(
    "GET /v1/my/stores/{store_id}/products",
    Words("我的店铺的全部商品，最新在前", "All products of my own store, newest first"),
    scope="stores:read",
    roles=MERCHANT,
    query=PageQuery,
    answer=schemas.ProductsSchema,
)
def list_own_products(call: Call[Commerce]) -> Answer:
    found = actions.list_own_products(
        call.parts.database,
        _keeper(call),
        call.path["store_id"],
        limit=call.page.fetch,
        after=call.page.after,
        freshness=call.freshness(),
    )
    return call.page.answer(found, lambda offer: product_json(offer, call.language))


@router.route(
    "POST /v1/stores/{store_id}/products",
    Words("上架商品", "Add a product"),
    scope="stores:write",
    roles=MERCHANT,
    body=schemas.NewProductSchema,
    answer=schemas.ProductSchema,
)
def add_product(call: Call[Commerce]) -> Answer:
    body = _priced(_placed(call, call.body))
    made = actions.add_product(
        call.parts.database, _keeper(call), call.path["store_id"], call.claim, body
    )
    product = made.value
    # As it was made: the shelf is empty, also in the answer to a repeated request.
    shown = product_json(actions.Offer(product, available=0), call.language)
    return Answer(shown, made.seq, product.revision, f"/commerce/v1/products/{product.key}")


@router.route(
    "PATCH /v1/products/{product_id}",
    Words("修改商品", "Change a product"),
    scope="stores:write",
    roles=MERCHANT,
    body=schemas.ProductChangeSchema,
    answer=schemas.ProductSchema,
)
def change_product(call: Call[Commerce]) -> Answer:
    changed = actions.change_product(
        call.parts.database,
        _keeper(call),
        call.path["product_id"],
        call.revision,
        _priced(call.body),
    )
    offer = changed.value
    return Answer(product_json(offer, call.language), changed.seq, offer.product.revision)


def _placed(call: Call[Commerce], body: Body) -> Body:
    """`body` with its county's prefecture. Raises Refused(INVALID) on `division`."""
    county = call.parts.divisions.county(body["division"])
    if county is None:
        raise invalid("division", "没有此县级区划", "is no county of Gansu")
    return {**body, "prefecture": county.parent}


def _priced(body: Body) -> Body:
    """`body` with its price, if it has one, in fen."""
    return {**body, "price": body["price"]["amount"]} if "price" in body else body


# Stock


@router.route(
    "GET /v1/products/{product_id}/stock",
    Words("商品库存", "A product's stock"),
    scope="stores:read",
    roles=MERCHANT,
    answer=schemas.StockSchema,
)
def read_stock(call: Call[Commerce]) -> Answer:
    return _stock_answer(
        actions.read_stock(
            call.parts.database, _keeper(call), call.path["product_id"], call.freshness()
        )
    )


@router.route(
    "PUT /v1/products/{product_id}/stock",
    Words("按清点结果设定现货", "Set what is on hand after a count"),
    scope="stores:write",
    roles=MERCHANT,
    body=schemas.CountSchema,
    answer=schemas.StockSchema,
    problems=(COUNT_TOO_HIGH,),
)
def count_stock(call: Call[Commerce]) -> Answer:
    return _stock_answer(
        actions.count_stock(
            call.parts.database,
            _keeper(call),
            call.path["product_id"],
            call.revision,
            call.body["on_hand"],
        )
    )


@router.route(
    "POST /v1/products/{product_id}/stock/adjustments",
    Words("到货或损耗", "Record what came in or was lost"),
    scope="stores:write",
    roles=MERCHANT,
    body=schemas.AdjustmentSchema,
    answer=schemas.StockSchema,
    problems=(COUNT_TOO_LOW, COUNT_TOO_HIGH),
)
def adjust_stock(call: Call[Commerce]) -> Answer:
    return _stock_answer(
        actions.adjust_stock(
            call.parts.database,
            _keeper(call),
            call.path["product_id"],
            call.claim,
            call.body["delta"],
        )
    )


def _stock_answer(found: Committed[Document]) -> Answer:
    return Answer(stock_json(found.value), found.seq, found.value.revision)


# A citizen's orders


@router.route(
    "POST /v1/orders",
    Words("下单", "Place an order"),
    scope="orders:write",
    roles=CITIZEN,
    body=schemas.NewOrderSchema,
    answer=schemas.OrderSchema,
    problems=(SOLD_OUT, NOT_FOR_SALE, PRICE_CHANGED),
)
def place_order(call: Call[Commerce]) -> Answer:
    lines = [Line(line["product_id"], line["quantity"]) for line in call.body["lines"]]
    seen = call.body.get("expected_total")
    made = actions.place_order(
        call.parts.database,
        call.identity.subject,
        call.claim,
        lines,
        None if seen is None else seen["amount"],
    )
    answer = _order_answer(made)
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
    found = actions.list_orders(
        call.parts.database,
        call.identity.subject,
        limit=call.page.fetch,
        after=call.page.after,
        freshness=call.freshness(),
    )
    return call.page.answer(found, lambda hit: order_json(hit.document))


@router.route(
    "GET /v1/orders/{order_id}",
    Words("我的一张订单", "One of my own orders"),
    scope="orders:read",
    roles=CITIZEN,
    answer=schemas.OrderSchema,
)
def read_order(call: Call[Commerce]) -> Answer:
    return _order_answer(
        actions.read_order(
            call.parts.database, call.identity.subject, call.path["order_id"], call.freshness()
        )
    )


@router.route(
    "POST /v1/orders/{order_id}/cancellation",
    Words("取消整张订单", "Cancel a whole order"),
    scope="orders:write",
    roles=CITIZEN,
    answer=schemas.OrderSchema,
    problems=(NOT_CANCELLABLE,),
)
def cancel_order(call: Call[Commerce]) -> Answer:
    return _order_answer(
        actions.cancel_order(
            call.parts.database, call.identity.subject, call.path["order_id"], call.claim
        )
    )


def _order_answer(found: Committed[Document]) -> Answer:
    return Answer(order_json(found.value), found.seq, found.value.revision)


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
    found = actions.list_store_orders(
        call.parts.database,
        _keeper(call),
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
    found = actions.read_store_order(
        call.parts.database,
        _keeper(call),
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
    found = actions.fulfil_order(
        call.parts.database,
        _keeper(call),
        call.path["store_id"],
        call.path["order_id"],
        call.claim,
    )
    return _store_order_answer(call, found)


def _store_order_answer(call: Call[Commerce], found: Committed[Document]) -> Answer:
    shown = store_order_json(found.value, call.path["store_id"])
    return Answer(shown, found.seq, found.value.revision)
