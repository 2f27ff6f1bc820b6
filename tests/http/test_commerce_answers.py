"""What commerce answers, whole and by value: a schema says only of which types it is."""

from services.commerce.actions import goods
from tests.http.test_commerce_orders import fulfil, refuse
from tests.http.test_commerce_parts import yuan
from tests.support.served import in_both, json_of, made
from tests.support.shop import Shop, order_of

# Places


def test_a_division(shop: Shop) -> None:
    county = {
        "code": "621222",
        "level": "county",
        "name": "文县",
        "name_zh": "文县",
        "name_en": "Wenxian",
        "parent": "621200",
    }
    assert in_both(shop, "/v1/divisions/621222") == (county, {**county, "name": "Wenxian"})


def test_a_pavilion(shop: Shop) -> None:
    pavilion = {
        "id": "longnan",
        "name": "陇南馆",
        "name_zh": "陇南馆",
        "name_en": "Longnan Pavilion",
        "division": "621200",
    }
    english = {**pavilion, "name": "Longnan Pavilion"}
    assert in_both(shop, "/v1/pavilions/longnan") == (pavilion, english)


# Stores and goods


def test_a_store(fresh_shop: Shop) -> None:
    store_id = fresh_shop.open_store()
    store = {
        "id": store_id,
        "name": "七里河百合合作社",
        "name_zh": "七里河百合合作社",
        "name_en": "Qilihe Lily Co-op",
        "division": "620103",
        "opened_at": "2026-01-01T00:00:00.000Z",
        "sample": False,
    }
    english = {**store, "name": "Qilihe Lily Co-op"}
    assert in_both(fresh_shop, f"/v1/stores/{store_id}") == (store, english)


def test_a_product_and_its_stock(fresh_shop: Shop) -> None:
    shop = fresh_shop
    store_id = shop.open_store()
    shop.clock.pass_wall(seconds=1)
    product_id = shop.add(store_id, on_hand=10)
    fulfil(shop, shop.order(product_id, 2))
    shop.order(product_id, 3)
    picture = shop.picture(product_id)
    prefix = f"/commerce/v1/products/{product_id}/pictures/picture_"
    assert picture.startswith(prefix)
    assert "/" not in picture.removeprefix(prefix)
    product = {
        "id": product_id,
        "store_id": store_id,
        "name": "兰州百合",
        "name_zh": "兰州百合",
        "name_en": "Lanzhou lily bulb",
        "description": "七里河产鲜百合，500 克",
        "description_zh": "七里河产鲜百合，500 克",
        "description_en": "Fresh bulbs from Qilihe, 500 g",
        "category": "agricultural",
        "division": "620103",
        "price": {"amount": 4900, "currency": "CNY"},
        "for_sale": True,
        "available": 5,
        "listed_at": "2026-01-01T00:00:01.000Z",
        "picture": picture,
        "sample": False,
    }
    english = {
        **product,
        "name": "Lanzhou lily bulb",
        "description": "Fresh bulbs from Qilihe, 500 g",
    }
    assert in_both(shop, f"/v1/products/{product_id}") == (product, english)
    assert json_of(shop.get(f"/v1/products/{product_id}/stock", by="merchant-1")) == {
        "product_id": product_id,
        "received": 10,
        "on_hand": 5,
        "reserved": 3,
        "sold": 2,
    }


def test_what_was_planted_says_that_it_is_a_sample(fresh_shop: Shop) -> None:
    names = {"name_zh": "示例", "name_en": "Sample", "division": "620103", "prefecture": "620100"}
    words = {"description_zh": "", "description_en": "", "category": "agricultural"}
    shelf = [("sample-product", {**names, **words, "price": 1}, 1)]
    goods.plant_store(fresh_shop.database, "sample-store", {**names, "owner": "sub_1"}, shelf)
    for path in ("/v1/stores/sample-store", "/v1/products/sample-product"):
        assert json_of(fresh_shop.get(path))["sample"] is True


# Orders


def test_an_order_of_two_stores_as_its_buyer_and_as_each_store_sees_it(fresh_shop: Shop) -> None:
    """Once one store has handed its part over, and the other one has refused its own."""
    shop = fresh_shop
    stores = [shop.open_store(by=f"merchant-{number}") for number in (1, 2)]
    lily = shop.add(stores[0], on_hand=10)
    pepper = shop.add(stores[1], by="merchant-2", on_hand=10, price=yuan(58))
    shop.clock.pass_wall(seconds=1)
    lines = order_of(lily, 3)["lines"] + order_of(pepper, 2)["lines"]
    placed = made(shop.post("/v1/orders", {"lines": lines}, by="citizen-1"))
    shop.clock.pass_wall(hours=1)
    handed_over = {
        "store_id": stores[0],
        "state": "fulfilled",
        "lines": [{"product_id": lily, "quantity": 3, "price": yuan(49)}],
        "total": yuan(147),
    }
    turned_down = {
        "store_id": stores[1],
        "state": "refused",
        "reason": "cannot_deliver",
        "lines": [{"product_id": pepper, "quantity": 2, "price": yuan(58)}],
        "total": yuan(116),
    }
    head = {"order_id": placed["id"], "placed_at": "2026-01-01T00:00:01.000Z"}
    assert made(fulfil(shop, placed)) == {**handed_over, **head}
    refusal = refuse(shop, placed, part=1, reason="cannot_deliver", by="merchant-2")
    assert made(refusal) == {**turned_down, **head}
    path = f"/v1/stores/{stores[1]}/orders/{placed['id']}"
    assert json_of(shop.get(path, by="merchant-2")) == {**turned_down, **head}
    assert json_of(shop.get(f"/v1/orders/{placed['id']}", by="citizen-1")) == {
        "id": placed["id"],
        "state": "partly_fulfilled",
        "placed_at": "2026-01-01T00:00:01.000Z",
        "total": yuan(263),
        "due": yuan(147),
        "parts": [handed_over, turned_down],
    }
