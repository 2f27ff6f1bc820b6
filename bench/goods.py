"""What is sold in a benchmark: one store with a thousand products, alike on both sides."""

from shared.storage.catalogue import Body

STORE = "store_bench"
OWNER = "merchant-bench"
PRODUCTS = 1000
STOCK = 10**9
"""So much that nothing sells out but the one product that is meant to."""

SOLD_OUT = "product_sold_out"

STORE_BODY: Body = {
    "owner": OWNER,
    "name_zh": "基准测试店",
    "name_en": "Benchmark store",
    "division": "620103",
    "prefecture": "620100",
    "opened_ms": 1_700_000_000_000,
    "sample": True,
}


def product_id(place: int) -> str:
    return f"product_{place:04d}"


HOT = [product_id(0)]
SPREAD = [product_id(place) for place in range(PRODUCTS)]


def product(place: int) -> Body:
    """The body of a product as its store would have written it."""
    return {
        "store": STORE,
        "name_zh": f"兰州百合 {place}",
        "name_en": f"Lanzhou lily bulb {place}",
        "description_zh": "示例商品：产于七里河的鲜百合，五百克装。",
        "description_en": "A sample: fresh bulbs from Qilihe, 500 g.",
        "category": "agricultural",
        "division": "620103",
        "prefecture": "620100",
        "price": 1000 + place,
        "for_sale": True,
        "listed_ms": 1_700_000_000_000 + place,
        "sample": True,
    }


def stocked() -> list[tuple[str, Body, int]]:
    """All products: id, body, units on hand."""
    rows = [(product_id(place), product(place), STOCK) for place in range(PRODUCTS)]
    return [*rows, (SOLD_OUT, product(PRODUCTS), 0)]
