"""How a store's part of an order ends: handed over, refused or cancelled, once."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from werkzeug.test import TestResponse

from services.commerce.schemas.orders import OrderSchema, StoreOrderSchema
from tests.http.test_commerce_orders import cancel, fulfil, refuse, stock
from tests.support.served import Json, json_of, made, refused
from tests.support.shop import Shop, order_of


def yuan(amount: int) -> Json:
    return {"amount": amount * 100, "currency": "CNY"}


def seen_by_its_buyer(shop: Shop, order: Json) -> Json:
    return json_of(shop.get(f"/v1/orders/{order['id']}", by="citizen-1"))


def order_of_two(shop: Shop, lily: str, pepper: str) -> Json:
    """One lily of merchant-1 and two peppers of merchant-2."""
    lines = order_of(lily)["lines"] + order_of(pepper, 2)["lines"]
    return made(shop.post("/v1/orders", {"lines": lines}, by="citizen-1"))


def test_a_cancelled_order_gives_back_what_it_held_once(shop: Shop) -> None:
    lily = shop.lily(5)
    order = shop.order(lily, 4)
    cancelled = made(cancel(shop, order))
    assert cancelled["state"] == "cancelled"
    assert shop.stock(lily) == stock(5, 5, 0, 0)
    problem = refused(cancel(shop, order), 409, "not-cancellable")
    assert problem["state"] == "cancelled"
    assert refused(fulfil(shop, order), 409, "not-fulfillable")["state"] == "cancelled"
    assert shop.stock(lily) == stock(5, 5, 0, 0)


def test_what_is_fulfilled_is_sold_and_cannot_be_cancelled(shop: Shop) -> None:
    lily = shop.lily(5)
    order = shop.order(lily, 2)
    part = made(fulfil(shop, order))
    assert part["state"] == "fulfilled"
    assert shop.stock(lily) == stock(5, 3, 0, 2)
    assert json_of(shop.get(f"/v1/orders/{order['id']}", by="citizen-1"))["state"] == "fulfilled"
    refused(cancel(shop, order), 409, "not-cancellable")
    refused(fulfil(shop, order), 409, "not-fulfillable")
    assert shop.stock(lily) == stock(5, 3, 0, 2)


def test_an_order_that_one_of_two_stores_fulfilled(shop: Shop) -> None:
    lily, pepper = shop.lily(5), shop.lily(5, by="merchant-2")
    order = order_of_two(shop, lily, pepper)
    made(fulfil(shop, order))
    seen = seen_by_its_buyer(shop, order)
    assert seen["state"] == "partly_fulfilled"
    assert [part["state"] for part in seen["parts"]] == ["fulfilled", "placed"]
    assert shop.stock(pepper, by="merchant-2") == stock(5, 3, 2, 0)
    made(fulfil(shop, order, part=1, by="merchant-2"))
    assert seen_by_its_buyer(shop, order)["state"] == "fulfilled"
    refused(cancel(shop, order), 409, "not-cancellable")


def test_what_a_second_store_does_not_deliver_can_be_cancelled(shop: Shop) -> None:
    lily, pepper = shop.lily(5), shop.lily(5, by="merchant-2")
    order = order_of_two(shop, lily, pepper)
    made(fulfil(shop, order))
    left = made(cancel(shop, order))
    assert OrderSchema().validate(left) == {}
    assert left["state"] == "partly_fulfilled"
    assert [part["state"] for part in left["parts"]] == ["fulfilled", "cancelled"]
    assert (left["total"], left["due"]) == (yuan(147), yuan(49))
    assert shop.stock(lily) == stock(5, 4, 0, 1)
    assert shop.stock(pepper, by="merchant-2") == stock(5, 5, 0, 0)
    problem = refused(cancel(shop, order), 409, "not-cancellable")
    assert problem["state"] == "partly_fulfilled"
    refused(fulfil(shop, order, part=1, by="merchant-2"), 409, "not-fulfillable")


def test_what_a_store_refuses_is_free_again_and_its_buyer_is_told_why(shop: Shop) -> None:
    lily, pepper = shop.lily(5), shop.lily(5, by="merchant-2")
    order = order_of_two(shop, lily, pepper)
    assert order["due"] == order["total"] == yuan(147)
    part = made(refuse(shop, order, part=1, by="merchant-2"))
    assert StoreOrderSchema().validate(part) == {}
    assert (part["state"], part["reason"], part["total"]) == ("refused", "out_of_stock", yuan(98))
    assert shop.stock(pepper, by="merchant-2") == stock(5, 5, 0, 0)
    seen = seen_by_its_buyer(shop, order)
    assert OrderSchema().validate(seen) == {}
    assert (seen["state"], seen["total"], seen["due"]) == ("placed", yuan(147), yuan(49))
    assert [each.get("reason") for each in seen["parts"]] == [None, "out_of_stock"]
    made(fulfil(shop, order))
    assert seen_by_its_buyer(shop, order)["state"] == "partly_fulfilled"
    assert shop.stock(lily) == stock(5, 4, 0, 1)


@pytest.mark.parametrize("by", ["merchant-1", "operator-1"])
def test_units_of_an_order_that_nobody_takes_further_can_be_freed(shop: Shop, by: str) -> None:
    lily = shop.lily(500)
    order = shop.order(lily, 500)
    shop.clock.pass_wall(hours=24 * 365)
    made(refuse(shop, order, reason="buyer_unreachable", by=by))
    assert shop.stock(lily) == stock(500, 500, 0, 0)
    seen = seen_by_its_buyer(shop, order)
    assert (seen["state"], seen["due"]) == ("refused", yuan(0))
    problem = refused(refuse(shop, order, by=by), 409, "not-refusable")
    assert problem["state"] == "refused"
    refused(cancel(shop, order), 409, "not-cancellable")
    refused(fulfil(shop, order), 409, "not-fulfillable")


@pytest.mark.parametrize("body", [{}, {"reason": "a whim"}, {"reason": None}])
def test_a_refusal_gives_one_of_the_reasons_that_there_are(shop: Shop, body: Json) -> None:
    order = shop.order(shop.lily())
    path = f"/v1/stores/{order['parts'][0]['store_id']}/orders/{order['id']}/refusal"
    refused(shop.post(path, body, by="merchant-1"), 422, "invalid-request", "reason")


def test_a_store_refuses_its_own_part_alone(shop: Shop) -> None:
    order = order_of_two(shop, shop.lily(5), shop.lily(5, by="merchant-2"))
    refused(refuse(shop, order, part=1), 404, "not-found")
    refused(refuse(shop, shop.order(shop.lily()), by="merchant-2"), 404, "not-found")
    assert seen_by_its_buyer(shop, order) == order


def test_who_comes_first_of_buyer_and_store_decides_once(shop: Shop) -> None:
    """A refusal, a fulfilment and a cancellation at once, then each again under its own key."""
    lily = shop.lily(60)
    deeds = {"refused": refuse, "fulfilled": fulfil, "cancelled": cancel}
    done: Counter[str] = Counter()
    with ThreadPoolExecutor(len(deeds)) as people:
        for _ in range(10):
            order, together = shop.order(lily, 3), Barrier(len(deeds))

            def act(state: str, order: Json = order, together: Barrier = together) -> TestResponse:
                together.wait()
                return deeds[state](shop, order, key=f"{state}-{order['id']}")

            answers = dict(zip(deeds, people.map(act, deeds), strict=True))
            [state] = [each for each, answer in answers.items() if answer.status_code == 201]
            assert seen_by_its_buyer(shop, order)["state"] == state
            again = deeds[state](shop, order, key=f"{state}-{order['id']}")
            assert made(again) == made(answers.pop(state))
            for other, answer in answers.items():
                assert (answer.status_code, json_of(answer)["state"]) == (409, state)
                later = deeds[other](shop, order, key=f"{other}-{order['id']}")
                assert (later.status_code, json_of(later)["state"]) == (409, state)
            done[state] += 1
    sold = 3 * done["fulfilled"]
    assert shop.stock(lily) == stock(60, 60 - sold, 0, sold)
