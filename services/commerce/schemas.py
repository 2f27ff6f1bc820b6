"""JSON of commerce: what clients send (loaded), what they get (rendered, and checked in tests)."""

from typing import ClassVar

from services.commerce.actions import Offer
from services.commerce.divisions import LEVELS, Division
from services.commerce.domain import (
    CATEGORIES,
    LINES_MAX,
    PRICE_FEN_MAX,
    QUANTITY_MAX,
    STATES,
    UNITS_MAX,
    Pavilion,
    order_state,
    part_of,
)
from shared.language import Language, Words
from shared.schemas import (
    INTEGER_MAX,
    Choice,
    Example,
    Flag,
    Instant,
    Items,
    MoneySchema,
    PageQuery,
    Part,
    QueryWhole,
    Schema,
    Text,
    Whole,
    instant,
    money,
)
from shared.storage.access import Document
from shared.storage.catalogue import Body

ADJUSTMENT_MAX = 10**6
COUNT_MAX = 10**9

_DIVISION = r"^62[0-9]{4}$"
_ID = r"^[A-Za-z0-9_.-]{1,100}$"
_LOCAL_NAME = Words("调用者语言的名称", "The name in the caller's language")
_PLACE = Words("县或市州区划代码", "The code of a county or of a prefecture")
_SAMPLE = Words("演示数据，并非真实出售", "Made up for a demonstration, not really for sale")
_FEN = Words("分", "in fen")
_COUNTY = Words("县级区划代码，GB/T 2260", "A county's code, GB/T 2260")

LILY: Example = {
    "name_zh": "兰州百合",
    "name_en": "Lanzhou lily bulb",
    "description_zh": "七里河产鲜百合，500 克",
    "description_en": "Fresh bulbs from Qilihe, 500 g",
    "category": "agricultural",
    "division": "620103",
    "price": {"amount": 4900, "currency": "CNY"},
}
_LILY_ID = "product_019a8f5b2c3d7e8f9a0b1c2d3e4f5061"
_STORE_ID = "store_019a8f5b2c3d7e8f9a0b1c2d3e4f5060"
_ORDER_ID = "order_019a8f5b2c3d7e8f9a0b1c2d3e4f5062"


class PriceSchema(Schema):
    """A price, in fen."""

    amount = Whole(1, PRICE_FEN_MAX, example=4900, doc=Words("分", "in fen"))
    currency = Choice("CNY")


# Divisions and pavilions


class DivisionQuery(PageQuery):
    parent = Text(12, pattern=r"^62[0-9]{4,10}$", required=False, example="621200")


class DivisionSchema(Schema):
    code = Text(12, example="620103")
    level = Choice(*LEVELS)
    name = Text(100, doc=_LOCAL_NAME)
    name_zh = Text(100)
    name_en = Text(100, minimum=0, doc=Words("县级以下为空", "Empty below the county"))
    parent = Text(12, minimum=0)


class DivisionsSchema(Schema):
    items = Items(DivisionSchema, PageQuery.LIMIT_MAX)
    after = Text(1024, nullable=True)


def division_json(division: Division, language: Language) -> Body:
    in_english = language == "en" and division.name_en
    return {
        "code": division.code,
        "level": division.level,
        "name": division.name_en if in_english else division.name_zh,
        "name_zh": division.name_zh,
        "name_en": division.name_en,
        "parent": division.parent,
    }


class PavilionSchema(Schema):
    id = Text(100, example="longnan")
    name = Text(100, doc=_LOCAL_NAME)
    name_zh = Text(100)
    name_en = Text(100)
    division = Text(6, example="621200")


class PavilionsSchema(Schema):
    items = Items(PavilionSchema, 100)


def pavilion_json(pavilion: Pavilion, language: Language) -> Body:
    return {
        "id": pavilion.id,
        "name": pavilion.name_en if language == "en" else pavilion.name_zh,
        "name_zh": pavilion.name_zh,
        "name_en": pavilion.name_en,
        "division": pavilion.division,
    }


# Stores


class NewStoreSchema(Schema):
    EXAMPLE: ClassVar[Example] = {
        "name_zh": "七里河百合合作社",
        "name_en": "Qilihe Lily Co-op",
        "division": "620103",
    }

    name_zh = Text(60)
    name_en = Text(100, minimum=0, required=False, default="")
    division = Text(6, pattern=_DIVISION, doc=_COUNTY)


class StoreSchema(Schema):
    EXAMPLE: ClassVar[Example] = {
        "id": _STORE_ID,
        "name": "七里河百合合作社",
        "name_zh": "七里河百合合作社",
        "name_en": "Qilihe Lily Co-op",
        "division": "620103",
        "opened_at": "2026-05-01T08:30:00.000Z",
        "sample": False,
    }

    id = Text(100)
    name = Text(100, doc=_LOCAL_NAME)
    name_zh = Text(60)
    name_en = Text(100, minimum=0)
    division = Text(6, pattern=_DIVISION, doc=_COUNTY)
    opened_at = Instant()
    sample = Flag(doc=_SAMPLE)


class StoresSchema(Schema):
    items = Items(StoreSchema, PageQuery.LIMIT_MAX)
    after = Text(1024, nullable=True)


class StoreQuery(PageQuery):
    division = Text(6, pattern=_DIVISION, required=False, doc=_PLACE, example="621200")


def store_json(store: Document, language: Language) -> Body:
    body = store.body
    return {
        "id": store.key,
        "name": _name(body, language),
        "name_zh": body["name_zh"],
        "name_en": body["name_en"],
        "division": body["division"],
        "opened_at": instant(body["opened_ms"]),
        "sample": body.get("sample", False),
    }


def _name(body: Body, language: Language) -> str:
    """The name in the caller's language, if its store gave one."""
    name: str = (body["name_en"] if language == "en" else "") or body["name_zh"]
    return name


# Products


class NewProductSchema(Schema):
    EXAMPLE: ClassVar[Example] = LILY

    name_zh = Text(60)
    name_en = Text(100, minimum=0, required=False, default="")
    description_zh = Text(500, minimum=0, required=False, default="")
    description_en = Text(1000, minimum=0, required=False, default="")
    category = Choice(*CATEGORIES)
    division = Text(6, pattern=_DIVISION, doc=_COUNTY)
    price = Part(PriceSchema)


class ProductChangeSchema(Schema):
    EXAMPLE: ClassVar[Example] = {"price": {"amount": 5200, "currency": "CNY"}}

    name_zh = Text(60, required=False)
    name_en = Text(100, minimum=0, required=False)
    description_zh = Text(500, minimum=0, required=False)
    description_en = Text(1000, minimum=0, required=False)
    category = Choice(*CATEGORIES, required=False)
    price = Part(PriceSchema, required=False)
    for_sale = Flag(required=False)


class ProductSchema(Schema):
    EXAMPLE: ClassVar[Example] = {
        **LILY,
        "id": _LILY_ID,
        "store_id": _STORE_ID,
        "name": "兰州百合",
        "description": "七里河产鲜百合，500 克",
        "for_sale": True,
        "available": 120,
        "listed_at": "2026-05-01T08:30:00.000Z",
        "sample": False,
    }

    id = Text(100)
    store_id = Text(100)
    name = Text(100, doc=_LOCAL_NAME)
    name_zh = Text(60)
    name_en = Text(100, minimum=0)
    description = Text(1000, minimum=0)
    description_zh = Text(500, minimum=0)
    description_en = Text(1000, minimum=0)
    category = Choice(*CATEGORIES)
    division = Text(6, pattern=_DIVISION, doc=_COUNTY)
    price = Part(PriceSchema)
    for_sale = Flag()
    available = Whole(0, INTEGER_MAX, doc=Words("现货件数", "Units that can be ordered now"))
    listed_at = Instant()
    sample = Flag(doc=_SAMPLE)


class ProductsSchema(Schema):
    items = Items(ProductSchema, PageQuery.LIMIT_MAX)
    after = Text(1024, nullable=True)


class ProductQuery(PageQuery):
    q = Text(60, required=False, doc=Words("中文或英文", "Chinese or English"), example="百合")
    division = Text(6, pattern=_DIVISION, required=False, doc=_PLACE, example="621200")
    category = Choice(*CATEGORIES, required=False)
    price_min = QueryWhole(0, PRICE_FEN_MAX, required=False, doc=_FEN)
    price_max = QueryWhole(0, PRICE_FEN_MAX, required=False, doc=_FEN)
    sort = Choice(
        "relevance",
        "price",
        "-price",
        "newest",
        required=False,
        doc=Words(
            "默认：有 q 时按相关度，否则最新在前",
            "By default relevance where there is a q, else newest first",
        ),
    )


def product_json(offer: Offer, language: Language) -> Body:
    body = offer.product.body
    in_english = language == "en" and body["description_en"]
    return {
        "id": offer.product.key,
        "store_id": body["store"],
        "name": _name(body, language),
        "name_zh": body["name_zh"],
        "name_en": body["name_en"],
        "description": body["description_en"] if in_english else body["description_zh"],
        "description_zh": body["description_zh"],
        "description_en": body["description_en"],
        "category": body["category"],
        "division": body["division"],
        "price": money(body["price"]),
        "for_sale": body["for_sale"],
        "available": offer.available,
        "listed_at": instant(body["listed_ms"]),
        "sample": body.get("sample", False),
    }


# Stock


class StockSchema(Schema):
    EXAMPLE: ClassVar[Example] = {
        "product_id": _LILY_ID,
        "received": 200,
        "on_hand": 120,
        "reserved": 30,
        "sold": 50,
    }

    product_id = Text(100)
    received = Whole(0, UNITS_MAX, doc=Words("恒等于以下三项之和", "Always the sum of the others"))
    on_hand = Whole(0, UNITS_MAX)
    reserved = Whole(0, UNITS_MAX)
    sold = Whole(0, UNITS_MAX)


class AdjustmentSchema(Schema):
    EXAMPLE: ClassVar[Example] = {"delta": 200}

    delta = Whole(
        -ADJUSTMENT_MAX,
        ADJUSTMENT_MAX,
        doc=Words("到货为正，损耗为负", "What came in, or below zero what was lost"),
    )


class CountSchema(Schema):
    EXAMPLE: ClassVar[Example] = {"on_hand": 118}

    on_hand = Whole(0, COUNT_MAX, doc=Words("清点所得现货", "What a count of the shelf found"))


def stock_json(stock: Document) -> Body:
    return {"product_id": stock.key, **stock.body}


# Orders


class NewLineSchema(Schema):
    product_id = Text(100, pattern=_ID)
    quantity = Whole(1, QUANTITY_MAX)


class NewOrderSchema(Schema):
    EXAMPLE: ClassVar[Example] = {
        "lines": [{"product_id": _LILY_ID, "quantity": 2}],
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


class LineSchema(Schema):
    product_id = Text(100)
    quantity = Whole(1, QUANTITY_MAX)
    price = Part(PriceSchema, doc=Words("下单时的单价", "Of one unit, when it was ordered"))


class OrderPartSchema(Schema):
    store_id = Text(100)
    state = Choice(*STATES)
    lines = Items(LineSchema, LINES_MAX, minimum=1)
    total = Part(MoneySchema)


_PART_EXAMPLE: Example = {
    "store_id": _STORE_ID,
    "state": "placed",
    "lines": [
        {
            "product_id": _LILY_ID,
            "quantity": 2,
            "price": {"amount": 4900, "currency": "CNY"},
        }
    ],
    "total": {"amount": 9800, "currency": "CNY"},
}


class OrderSchema(Schema):
    EXAMPLE: ClassVar[Example] = {
        "id": _ORDER_ID,
        "state": "placed",
        "placed_at": "2026-05-01T08:30:00.000Z",
        "total": {"amount": 9800, "currency": "CNY"},
        "parts": [_PART_EXAMPLE],
    }

    id = Text(100)
    state = Choice(*STATES, "partly_fulfilled")
    placed_at = Instant()
    total = Part(MoneySchema)
    parts = Items(
        OrderPartSchema,
        LINES_MAX,
        minimum=1,
        doc=Words("每家店一部分", "One for each store"),
    )


class OrdersSchema(Schema):
    items = Items(OrderSchema, PageQuery.LIMIT_MAX)
    after = Text(1024, nullable=True)


class StoreOrderSchema(OrderPartSchema):
    EXAMPLE: ClassVar[Example] = {
        **_PART_EXAMPLE,
        "order_id": _ORDER_ID,
        "placed_at": "2026-05-01T08:30:00.000Z",
    }

    order_id = Text(100)
    placed_at = Instant()


class StoreOrdersSchema(Schema):
    items = Items(StoreOrderSchema, PageQuery.LIMIT_MAX)
    after = Text(1024, nullable=True)


class StoreOrderQuery(PageQuery):
    state = Choice(*STATES, required=False, default="placed")


def order_json(order: Document) -> Body:
    body = order.body
    return {
        "id": order.key,
        "state": order_state(body),
        "placed_at": instant(body["placed_ms"]),
        "total": money(body["total"]),
        "parts": [_part_json(part) for part in body["parts"]],
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
