"""What several of commerce's schemas hold: prices, names, places, and the goods of the examples."""

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

DIVISION = r"^62[0-9]{4}$"
ID = r"^[A-Za-z0-9_.-]{1,100}$"
LOCAL_NAME = Words("调用者语言的名称", "The name in the caller's language")
PLACE = Words("县或市州区划代码", "The code of a county or of a prefecture")
SAMPLE = Words("演示数据，并非真实出售", "Made up for a demonstration, not really for sale")
FEN = Words("分", "in fen")
COUNTY = Words("县级区划代码，GB/T 2260", "A county's code, GB/T 2260")

LILY: Example = {
    "name_zh": "兰州百合",
    "name_en": "Lanzhou lily bulb",
    "description_zh": "七里河产鲜百合，500 克",
    "description_en": "Fresh bulbs from Qilihe, 500 g",
    "category": "agricultural",
    "division": "620103",
    "price": {"amount": 4900, "currency": "CNY"},
}
LILY_ID = "product_019a8f5b2c3d7e8f9a0b1c2d3e4f5061"
STORE_ID = "store_019a8f5b2c3d7e8f9a0b1c2d3e4f5060"
ORDER_ID = "order_019a8f5b2c3d7e8f9a0b1c2d3e4f5062"


class PriceSchema(Schema):
    """A price, in fen."""

    amount = Whole(1, PRICE_FEN_MAX, example=4900, doc=Words("分", "in fen"))
    currency = Choice("CNY")
