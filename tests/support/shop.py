"""Commerce over HTTP, in-process and in memory.

with Shop(tmp_path) as shop:
    lily = shop.lily(on_hand=10)
    answer = shop.post("/v1/orders", order_of(lily, 2), by="citizen-1")
"""

import io
from pathlib import Path
from typing import Any

from PIL import Image

from services.commerce.app import create_app
from services.commerce.domain import CATALOGUE
from services.commerce.pictures import Gallery
from services.commerce.schemas.common import LILY
from shared.condition import Condition
from shared.storage.access import Database
from shared.web.service import Application, Edge
from tests.support.served import Json, Served, all_divisions, json_of, made

ORDERS_A_MINUTE = 1000
"""Enough for tests whose clock stands still; one of the limit brings its own."""


class Shop(Served):
    """Commerce, and what its tests put into it."""

    def __init__(
        self,
        directory: Path,
        *,
        orders_max: int = ORDERS_A_MINUTE,
        **options: Any,
    ) -> None:
        self._orders_max = orders_max
        super().__init__(directory, "commerce", CATALOGUE, self._create, **options)

    def open_store(self, by: str = "merchant-1", **changes: Any) -> str:
        """A new store's id."""
        body = {"name_zh": "七里河百合合作社", "name_en": "Qilihe Lily Co-op", "division": "620103"}
        return str(made(self.post("/v1/stores", {**body, **changes}, by=by))["id"])

    def add(
        self, store_id: str, *, by: str = "merchant-1", on_hand: int = 0, **changes: Any
    ) -> str:
        """A new product's id."""
        path = f"/v1/stores/{store_id}/products"
        product_id = str(made(self.post(path, {**LILY, **changes}, by=by))["id"])
        if on_hand:
            path = f"/v1/products/{product_id}/stock/adjustments"
            made(self.post(path, {"delta": on_hand}, by=by))
        return product_id

    def lily(self, on_hand: int = 10, by: str = "merchant-1") -> str:
        """Lanzhou lily bulbs at 49.00 yuan in a new store; the product's id."""
        return self.add(self.open_store(by), by=by, on_hand=on_hand)

    def order(self, product_id: str, quantity: int = 1, by: str = "citizen-1") -> Json:
        """A new order of one line, a second after whatever was before it."""
        self.clock.pass_wall(seconds=1)
        return made(self.post("/v1/orders", order_of(product_id, quantity), by=by))

    def picture(self, product_id: str, upload: bytes | None = None, by: str = "merchant-1") -> str:
        """The address of a picture that the product now has, without a size."""
        answer = self.post(
            f"/v1/products/{product_id}/picture",
            by=by,
            raw=upload or photo(),
            headers={"Content-Type": "image/jpeg"},
        )
        return str(made(answer)["picture"])

    def stock(self, product_id: str, by: str = "merchant-1") -> Json:
        """A product's stock without its id."""
        answer = self.get(f"/v1/products/{product_id}/stock", by=by)
        assert answer.status_code == 200, answer.text
        stock = json_of(answer)
        del stock["product_id"]
        return stock

    def _create(self, database: Database, edge: Edge, condition: Condition) -> Application:
        gallery = Gallery(self.store, "commerce/pictures/", self.clock)
        return create_app(database, all_divisions(), gallery, self._orders_max, edge, condition)


def photo(width: int = 64, height: int = 48, kind: str = "JPEG", **options: Any) -> bytes:
    """A picture with something to see in it."""
    file = io.BytesIO()
    Image.effect_mandelbrot((width, height), (-2, -1.5, 1, 1.5), 60).convert("RGB").save(
        file, kind, **options
    )
    return file.getvalue()


def order_of(product_id: str, quantity: int = 1) -> Json:
    return {"lines": [{"product_id": product_id, "quantity": quantity}]}
