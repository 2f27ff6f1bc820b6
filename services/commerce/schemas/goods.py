"""Stores, products and stock as JSON."""

from typing import ClassVar

from services.commerce.actions.goods import Offer
from services.commerce.domain import (
    CATEGORIES,
    PRICE_FEN_MAX,
    UNITS_MAX,
)
from services.commerce.schemas.common import FEN, LILY, LILY_ID, PICTURE_ID, STORE_ID, PriceSchema
from shared.language import Language, Words, local
from shared.schemas import (
    COUNTY,
    DIVISION,
    INTEGER_MAX,
    LOCAL_NAME,
    PLACE,
    SAMPLE,
    Choice,
    Example,
    Flag,
    Instant,
    Items,
    PageQuery,
    Part,
    QueryWhole,
    Schema,
    Text,
    Whole,
    money,
)
from shared.storage.access import Document
from shared.storage.catalogue import Body
from shared.times import instant

ADJUSTMENT_MAX = 10**6
COUNT_MAX = 10**9


class NewStoreSchema(Schema):
    EXAMPLE: ClassVar[Example] = {
        "name_zh": "七里河百合合作社",
        "name_en": "Qilihe Lily Co-op",
        "division": "620103",
    }

    name_zh = Text(60)
    name_en = Text(100, minimum=0, required=False, default="")
    division = Text(6, pattern=DIVISION, doc=COUNTY, example="620103")


class StoreSchema(Schema):
    EXAMPLE: ClassVar[Example] = {
        "id": STORE_ID,
        "name": "七里河百合合作社",
        "name_zh": "七里河百合合作社",
        "name_en": "Qilihe Lily Co-op",
        "division": "620103",
        "opened_at": "2026-05-01T08:30:00.000Z",
        "sample": False,
    }

    id = Text(100)
    name = Text(100, doc=LOCAL_NAME)
    name_zh = Text(60)
    name_en = Text(100, minimum=0)
    division = Text(6, pattern=DIVISION, doc=COUNTY)
    opened_at = Instant()
    sample = Flag(doc=SAMPLE)


class StoresSchema(Schema):
    items = Items(StoreSchema, PageQuery.LIMIT_MAX)
    after = Text(1024, nullable=True)


class StoreQuery(PageQuery):
    division = Text(6, pattern=DIVISION, required=False, doc=PLACE, example="621200")


def store_json(store: Document, language: Language) -> Body:
    body = store.body
    return {
        "id": store.key,
        "name": local(body, "name", language),
        "name_zh": body["name_zh"],
        "name_en": body["name_en"],
        "division": body["division"],
        "opened_at": instant(body["opened_ms"]),
        "sample": body.get("sample", False),
    }


# Products


class NewProductSchema(Schema):
    EXAMPLE: ClassVar[Example] = LILY

    name_zh = Text(60)
    name_en = Text(100, minimum=0, required=False, default="")
    description_zh = Text(500, minimum=0, required=False, default="")
    description_en = Text(1000, minimum=0, required=False, default="")
    category = Choice(*CATEGORIES)
    division = Text(6, pattern=DIVISION, doc=COUNTY, example="620103")
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
        "id": LILY_ID,
        "store_id": STORE_ID,
        "name": "兰州百合",
        "description": "七里河产鲜百合，500 克",
        "for_sale": True,
        "available": 120,
        "listed_at": "2026-05-01T08:30:00.000Z",
        "picture": f"/commerce/v1/products/{LILY_ID}/pictures/{PICTURE_ID}",
        "sample": False,
    }

    id = Text(100)
    store_id = Text(100)
    name = Text(100, doc=LOCAL_NAME)
    name_zh = Text(60)
    name_en = Text(100, minimum=0)
    description = Text(1000, minimum=0)
    description_zh = Text(500, minimum=0)
    description_en = Text(1000, minimum=0)
    category = Choice(*CATEGORIES)
    division = Text(6, pattern=DIVISION, doc=COUNTY)
    price = Part(PriceSchema)
    for_sale = Flag()
    available = Whole(0, INTEGER_MAX, doc=Words("现货件数", "Units that can be ordered now"))
    listed_at = Instant()
    picture = Text(
        300,
        nullable=True,
        doc=Words(
            "图片地址，后加 /160、/480 或 /1080（长边像素）",
            "Where its picture is; add /160, /480 or /1080, the pixels of its longer side",
        ),
    )
    sample = Flag(doc=SAMPLE)


class ProductsSchema(Schema):
    items = Items(ProductSchema, PageQuery.LIMIT_MAX)
    after = Text(1024, nullable=True)


class ProductQuery(PageQuery):
    q = Text(60, required=False, doc=Words("中文或英文", "Chinese or English"), example="百合")
    division = Text(6, pattern=DIVISION, required=False, doc=PLACE, example="621200")
    category = Choice(*CATEGORIES, required=False)
    price_min = QueryWhole(0, PRICE_FEN_MAX, required=False, doc=FEN)
    price_max = QueryWhole(
        0,
        PRICE_FEN_MAX,
        required=False,
        doc=Words("分，不得小于 price_min", "in fen, price_min or more"),
    )
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
    return {
        "id": offer.product.key,
        "store_id": body["store"],
        "name": local(body, "name", language),
        "name_zh": body["name_zh"],
        "name_en": body["name_en"],
        "description": local(body, "description", language),
        "description_zh": body["description_zh"],
        "description_en": body["description_en"],
        "category": body["category"],
        "division": body["division"],
        "price": money(body["price"]),
        "for_sale": body["for_sale"],
        "available": offer.available,
        "listed_at": instant(body["listed_ms"]),
        "picture": _picture(offer.product),
        "sample": body.get("sample", False),
    }


def _picture(product: Document) -> str | None:
    picture = product.body.get("picture")
    return f"/commerce/v1/products/{product.key}/pictures/{picture}" if picture else None


# Stock


class StockSchema(Schema):
    EXAMPLE: ClassVar[Example] = {
        "product_id": LILY_ID,
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
