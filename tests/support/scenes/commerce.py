"""Commerce's stage: a store of merchant-1 with a product, of which citizen-1 has ordered one."""

from tests.support.scenes.stage import Ids, Stage
from tests.support.served import json_of
from tests.support.shop import Shop, order_of, photo


def _furnish(shop: Shop) -> Ids:
    product = shop.lily(on_hand=100)
    return {
        "product_id": product,
        "store_id": json_of(shop.get(f"/v1/products/{product}"))["store_id"],
        "order_id": shop.order(product)["id"],
        "picture_id": shop.picture(product).rpartition("/")[2],
        "size": "160",
        "pavilion_id": "longnan",
        "code": "620103",
        "slug": "sold-out",
    }


STAGE = Stage(
    _furnish,
    bodies={"POST /v1/orders": lambda ids: order_of(ids["product_id"])},
    uploads=photo(),
)
