"""What several of commerce's schemas hold: prices, and the goods of the examples."""

from services.commerce.domain import (
    PRICE_FEN_MAX,
)
from shared.language import Words
from shared.schemas import (
    Choice,
    Example,
    Schema,
    Whole,
)

FEN = Words("分", "in fen")

LILY: Example = {
    "name_zh": "兰州百合",
    "name_en": "Lanzhou lily bulb",
    "description_zh": "七里河产鲜百合，500 克",
    "description_en": "Fresh bulbs from Qilihe, 500 g",
    "category": "agricultural",
    "division": "620103",
    "price": {"amount": 4900, "currency": "CNY"},
}
PICTURE_ID = "picture_0b7c1f5e9a3d48c6a2f4e1d09b8c7a65"
LILY_ID = "product_019a8f5b2c3d7e8f9a0b1c2d3e4f5061"
STORE_ID = "store_019a8f5b2c3d7e8f9a0b1c2d3e4f5060"
ORDER_ID = "order_019a8f5b2c3d7e8f9a0b1c2d3e4f5062"


class PriceSchema(Schema):
    """A price, in fen."""

    amount = Whole(1, PRICE_FEN_MAX, example=4900, doc=Words("分", "in fen"))
    currency = Choice("CNY")
