"""Orders and stock of commerce: placed, cancelled, fulfilled, counted."""

from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from services.commerce.schemas.goods import StockSchema
from services.commerce.schemas.orders import OrderSchema, StoreOrderSchema
from tests.http.test_commerce_goods import pages
from tests.support.served import Json, json_of, made, refused
from tests.support.shop import Shop, order_of


def store_of(shop: Shop, product: str) -> str:
    return str(json_of(shop.get(f"/v1/products/{product}"))["store_id"])


def fulfil(shop: Shop, order: Json, part: int = 0, **options: Any) -> TestResponse:
    store = order["parts"][part]["store_id"]
    options.setdefault("by", "merchant-1")
    return shop.post(f"/v1/stores/{store}/orders/{order['id']}/fulfilment", **options)


def cancel(shop: Shop, order: Json, **options: Any) -> TestResponse:
    options.setdefault("by", "citizen-1")
    return shop.post(f"/v1/orders/{order['id']}/cancellation", **options)


def refuse(
    shop: Shop, order: Json, part: int = 0, reason: str = "out_of_stock", **options: Any
) -> TestResponse:
    store = order["parts"][part]["store_id"]
    options.setdefault("by", "merchant-1")
    path = f"/v1/stores/{store}/orders/{order['id']}/refusal"
    return shop.post(path, {"reason": reason}, **options)


def stock(received: int, on_hand: int, reserved: int, sold: int) -> Json:
    return {"received": received, "on_hand": on_hand, "reserved": reserved, "sold": sold}


# Placing


def test_an_order_of_several_lines_from_several_stores(shop: Shop) -> None:
    lily = shop.lily(10)
    rose = shop.add(
        store_of(shop, lily), on_hand=5, name_zh="玫瑰", price={"amount": 3800, "currency": "CNY"}
    )
    pepper = shop.lily(7, by="merchant-2")
    lines = [
        {"product_id": lily, "quantity": 2},
        {"product_id": pepper, "quantity": 1},
        {"product_id": rose, "quantity": 3},
    ]
    answer = shop.post("/v1/orders", {"lines": lines}, by="citizen-1")
    order = made(answer)
    assert OrderSchema().validate(order) == {}
    assert order["state"] == "placed"
    assert order["total"] == {"amount": 2 * 4900 + 4900 + 3 * 3800, "currency": "CNY"}
    assert [part["store_id"] for part in order["parts"]] == [
        store_of(shop, lily),
        store_of(shop, pepper),
    ]
    assert [part["total"]["amount"] for part in order["parts"]] == [21_200, 4900]
    assert [[line["product_id"] for line in part["lines"]] for part in order["parts"]] == [
        [lily, rose],
        [pepper],
    ]
    assert shop.stock(lily) == stock(10, 8, 2, 0)
    assert shop.stock(rose) == stock(5, 2, 3, 0)
    assert shop.stock(pepper, by="merchant-2") == stock(7, 6, 1, 0)
    assert json_of(shop.client.get(answer.headers["Location"], headers=_as(shop))) == order


def _as(shop: Shop, account: str = "citizen-1") -> dict[str, str]:
    return {"Authorization": f"Bearer {shop.token(account)}"}


def test_one_product_in_two_lines_is_one_line(shop: Shop) -> None:
    lily = shop.lily(10)
    order = made(shop.post("/v1/orders", {"lines": order_of(lily, 2)["lines"] * 2}, by="citizen-1"))
    assert [line["quantity"] for line in order["parts"][0]["lines"]] == [4]
    assert shop.stock(lily)["reserved"] == 4


def test_what_is_sold_out_is_refused_with_what_is_left_and_takes_nothing(shop: Shop) -> None:
    lily, pepper = shop.lily(10), shop.lily(1)
    lines = order_of(lily, 5)["lines"] + order_of(pepper, 2)["lines"]
    problem = refused(shop.post("/v1/orders", {"lines": lines}, by="citizen-1"), 409, "sold-out")
    assert problem["product_id"] == pepper
    assert problem["available"] == 1
    assert shop.stock(lily) == stock(10, 10, 0, 0)
    assert shop.stock(pepper) == stock(1, 1, 0, 0)


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_a_refusal_is_told_in_the_callers_language(shop: Shop, language: str) -> None:
    answer = shop.post(
        "/v1/orders",
        order_of(shop.lily(1), 2),
        by="citizen-1",
        headers={"Accept-Language": language},
    )
    problem = refused(answer, 409, "sold-out")
    assert problem["title"] == {"zh-CN": "库存不足", "en": "Not enough in stock"}[language]
    assert answer.headers["Content-Language"] == language


def test_a_product_that_does_not_exist_or_is_withdrawn_is_not_for_sale(shop: Shop) -> None:
    lily = shop.lily()
    path = f"/v1/products/{lily}"
    etag = shop.get(path).headers["ETag"]
    shop.ask("PATCH", path, {"for_sale": False}, by="merchant-1", headers={"If-Match": etag})
    for product in (lily, "product_none"):
        answer = shop.post("/v1/orders", order_of(product), by="citizen-1")
        assert refused(answer, 409, "not-for-sale")["product_id"] == product


def test_another_total_than_was_shown_is_refused_and_the_shown_one_is_not(shop: Shop) -> None:
    lily = shop.lily()
    body = {**order_of(lily, 2), "expected_total": {"amount": 9700, "currency": "CNY"}}
    problem = refused(shop.post("/v1/orders", body, by="citizen-1"), 409, "price-changed")
    assert problem["total"] == {"amount": 9800, "currency": "CNY"}
    assert shop.stock(lily)["reserved"] == 0
    body["expected_total"] = {"amount": 9800, "currency": "CNY"}
    made(shop.post("/v1/orders", body, by="citizen-1"))


# Reading


def test_a_citizen_sees_the_own_orders_newest_first_and_nobody_elses(shop: Shop) -> None:
    lily = shop.lily(10)
    mine = [shop.order(lily, by="citizen-7") for _ in range(5)]
    other = shop.order(lily, by="citizen-8")
    assert pages(shop, "/v1/orders", by="citizen-7") == mine[::-1]
    refused(shop.get(f"/v1/orders/{other['id']}", by="citizen-7"), 404, "not-found")
    refused(cancel(shop, other, by="citizen-7"), 404, "not-found")
    assert json_of(shop.get(f"/v1/orders/{other['id']}", by="citizen-8"))["state"] == "placed"


def test_a_store_sees_its_own_part_of_an_order_and_nothing_of_the_buyer(shop: Shop) -> None:
    lily, pepper = shop.lily(5, by="merchant-5"), shop.lily(5, by="merchant-6")
    order = made(
        shop.post(
            "/v1/orders",
            {"lines": order_of(lily)["lines"] + order_of(pepper, 2)["lines"]},
            by="citizen-1",
        )
    )
    store = store_of(shop, pepper)
    found = json_of(shop.get(f"/v1/stores/{store}/orders", by="merchant-6"))["items"]
    assert found == [
        {**order["parts"][1], "order_id": order["id"], "placed_at": order["placed_at"]}
    ]
    assert StoreOrderSchema().validate(found[0]) == {}
    one = shop.get(f"/v1/stores/{store}/orders/{order['id']}", by="merchant-6")
    assert json_of(one) == found[0]
    assert store_of(shop, lily) not in one.text
    assert "sub_" not in one.text
    other = f"/v1/stores/{store_of(shop, lily)}/orders"
    refused(shop.get(f"{other}/order_none", by="merchant-5"), 404, "not-found")
    third = shop.order(shop.lily())
    refused(shop.get(f"{other}/{third['id']}", by="merchant-5"), 404, "not-found")


def test_a_stores_orders_by_state(shop: Shop) -> None:
    lily = shop.lily(20)
    orders = [shop.order(lily) for _ in range(7)]
    fulfil(shop, orders[1])
    cancel(shop, orders[3])
    refuse(shop, orders[5])
    path = f"/v1/stores/{store_of(shop, lily)}/orders"

    def ids(query: str) -> list[str]:
        return [item["order_id"] for item in pages(shop, f"{path}{query}", by="merchant-1")]

    waiting = [orders[at]["id"] for at in (6, 4, 2, 0)]
    assert ids("") == waiting
    assert ids("?state=placed") == waiting
    assert ids("?state=fulfilled") == [orders[1]["id"]]
    assert ids("?state=cancelled") == [orders[3]["id"]]
    assert ids("?state=refused") == [orders[5]["id"]]


# Stock


def test_stock_comes_in_is_lost_and_counted(shop: Shop) -> None:
    lily = shop.lily(10)
    path = f"/v1/products/{lily}/stock"
    shop.order(lily, 4)
    lost = shop.post(f"{path}/adjustments", {"delta": -1}, by="merchant-1")
    assert StockSchema().validate(made(lost)) == {}
    assert shop.stock(lily) == stock(9, 5, 4, 0)
    read = shop.get(path, by="merchant-1")
    headers = {"If-Match": read.headers["ETag"]}
    counted = shop.ask("PUT", path, {"on_hand": 7}, by="merchant-1", headers=headers)
    assert counted.status_code == 200
    assert shop.stock(lily) == stock(11, 7, 4, 0)
    stale = shop.ask("PUT", path, {"on_hand": 1}, by="merchant-1", headers=headers)
    refused(stale, 412, "stale")
    assert shop.stock(lily) == stock(11, 7, 4, 0)


def test_stock_does_not_go_below_zero_or_beyond_all_bounds(shop: Shop) -> None:
    lily = shop.lily(3)
    path = f"/v1/products/{lily}/stock/adjustments"
    shop.order(lily, 2)
    problem = refused(shop.post(path, {"delta": -2}, by="merchant-1"), 409, "count-too-low")
    assert problem["on_hand"] == 1
    assert shop.stock(lily) == stock(3, 1, 2, 0)


@pytest.mark.parametrize("delta", [10**6 + 1, -(10**6) - 1, 2**63, 0.5, "1", None])
def test_an_odd_adjustment_is_named(shop: Shop, delta: object) -> None:
    path = f"/v1/products/{shop.lily()}/stock/adjustments"
    answer = shop.post(path, {"delta": delta}, by="merchant-1")
    refused(answer, 422, "invalid-request", "delta")


def test_what_is_available_is_what_is_on_hand(shop: Shop) -> None:
    lily = shop.lily(5)
    shop.order(lily, 2)
    shop.clock.pass_monotonic(2)
    assert json_of(shop.get(f"/v1/products/{lily}"))["available"] == 3


# Once


def test_a_repeated_order_is_answered_as_the_first_and_taken_once(shop: Shop) -> None:
    lily = shop.lily(10)
    first = shop.post("/v1/orders", order_of(lily, 2), by="citizen-1", key="again")
    order = made(first)
    made(cancel(shop, order))
    again = shop.post("/v1/orders", order_of(lily, 2), by="citizen-1", key="again")
    assert json_of(again) == order
    for header in ("ETag", "Location"):
        assert again.headers[header] == first.headers[header]
    assert again.status_code == HTTPStatus.CREATED
    assert shop.stock(lily) == stock(10, 10, 0, 0)


def test_a_key_is_of_one_caller_one_route_and_one_body(shop: Shop) -> None:
    lily = shop.lily(10)
    made(shop.post("/v1/orders", order_of(lily), by="citizen-1", key="mine"))
    answer = shop.post("/v1/orders", order_of(lily, 2), by="citizen-1", key="mine")
    refused(answer, 422, "idempotency-key-reused")
    made(shop.post("/v1/orders", order_of(lily), by="citizen-2", key="mine"))
    path = f"/v1/products/{lily}/stock/adjustments"
    made(shop.post(path, {"delta": 1}, by="merchant-1", key="mine"))
    other = f"/v1/products/{shop.lily()}/stock/adjustments"
    refused(
        shop.post(other, {"delta": 1}, by="merchant-1", key="mine"),
        422,
        "idempotency-key-reused",
    )


def test_the_same_body_in_other_words_is_the_same_request(shop: Shop) -> None:
    lily = shop.lily(10)
    one = f'{{"lines": [{{"product_id": "{lily}", "quantity": 1}}]}}'.encode()
    two = f'{{"lines":[{{"quantity":1,"product_id":"{lily}"}}]}}'.encode()
    first = made(shop.post("/v1/orders", raw=one, by="citizen-1", key="words"))
    assert made(shop.post("/v1/orders", raw=two, by="citizen-1", key="words")) == first


def test_one_citizen_places_so_many_orders_within_a_minute(tmp_path: Path) -> None:
    with Shop(tmp_path, orders_max=3) as shop:
        lily = shop.lily(100)
        body = order_of(lily)
        first = made(shop.post("/v1/orders", body, by="citizen-1", key="first"))
        for _ in range(2):
            shop.order(lily)
        answer = shop.post("/v1/orders", body, by="citizen-1", key="fourth")
        refused(answer, 429, "too-many-orders")
        assert answer.headers["Retry-After"] == "58"
        token = shop.acting("citizen-1")
        refused(shop.post("/v1/orders", body, token=token), 429, "too-many-orders")
        assert made(shop.post("/v1/orders", body, by="citizen-1", key="first")) == first
        made(shop.post("/v1/orders", body, by="citizen-2"))
        made(cancel(shop, first))
        refused(shop.post("/v1/orders", body, by="citizen-1"), 429, "too-many-orders")
        shop.clock.pass_wall(seconds=58)
        made(shop.post("/v1/orders", body, by="citizen-1", key="fourth"))
        refused(shop.post("/v1/orders", body, by="citizen-1"), 429, "too-many-orders")


def test_a_refusal_is_not_remembered(shop: Shop) -> None:
    lily = shop.lily(1)
    body = order_of(lily, 2)
    refused(shop.post("/v1/orders", body, by="citizen-1", key="later"), 409, "sold-out")
    shop.post(f"/v1/products/{lily}/stock/adjustments", {"delta": 1}, by="merchant-1")
    made(shop.post("/v1/orders", body, by="citizen-1", key="later"))


def test_every_post_is_taken_once(shop: Shop) -> None:
    store = made(
        shop.post("/v1/stores", {"name_zh": "一", "division": "620103"}, by="merchant-9", key="s")
    )
    again = shop.post(
        "/v1/stores", {"name_zh": "一", "division": "620103"}, by="merchant-9", key="s"
    )
    assert made(again) == store
    assert len(json_of(shop.get("/v1/my/stores", by="merchant-9"))["items"]) == 1
    lily = shop.add(store["id"], by="merchant-9", on_hand=5)
    path = f"/v1/products/{lily}/stock/adjustments"
    once = made(shop.post(path, {"delta": 3}, by="merchant-9", key="in"))
    assert made(shop.post(path, {"delta": 3}, by="merchant-9", key="in")) == once
    assert shop.stock(lily, by="merchant-9") == stock(8, 8, 0, 0)
    order = shop.order(lily, 2)
    done = made(fulfil(shop, order, by="merchant-9", key="f"))
    assert made(fulfil(shop, order, by="merchant-9", key="f")) == done
    second = shop.order(lily, 2)
    gone = made(cancel(shop, second, key="c"))
    assert made(cancel(shop, second, key="c")) == gone
    third = shop.order(lily, 2)
    not_had = made(refuse(shop, third, by="merchant-9", key="r"))
    assert made(refuse(shop, third, by="merchant-9", key="r")) == not_had
    assert shop.stock(lily, by="merchant-9") == stock(8, 6, 0, 2)
