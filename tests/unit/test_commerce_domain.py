"""The rules of commerce, on plain documents. Sequences of them are in tests/property."""

from collections.abc import Callable
from typing import Any

import pytest

from services.commerce import domain
from services.commerce.domain import Line
from shared.errors import INVALID, Problem, Refused
from shared.schemas import INTEGER_MAX

LILY = {"store": "s1", "price": 4900, "for_sale": True}
ROSE = {"store": "s1", "price": 3800, "for_sale": True}
PEPPER = {"store": "s2", "price": 5800, "for_sale": True}


def stock(received: int, on_hand: int, reserved: int, sold: int) -> dict[str, int]:
    return {"received": received, "on_hand": on_hand, "reserved": reserved, "sold": sold}


def refusal(act: Callable[[], Any], problem: Problem) -> Refused:
    with pytest.raises(Refused) as refused:
        act()
    assert refused.value.problem is problem
    return refused.value


def test_units_move_and_none_is_lost() -> None:
    units = domain.new_stock(10)
    assert units == stock(10, 10, 0, 0)
    domain.reserve(units, "lily", 4)
    assert units == stock(10, 6, 4, 0)
    domain.release(units, 1)
    assert units == stock(10, 7, 3, 0)
    domain.sell(units, 3)
    assert units == stock(10, 7, 0, 3)
    domain.adjust(units, 5)
    assert units == stock(15, 12, 0, 3)
    domain.adjust(units, -12)
    assert units == stock(3, 0, 0, 3)


def test_the_last_unit_can_be_reserved_and_no_more() -> None:
    units = domain.new_stock(1)
    domain.reserve(units, "lily", 1)
    told = refusal(lambda: domain.reserve(units, "lily", 1), domain.SOLD_OUT)
    assert told.detail == {"product_id": "lily", "available": 0}
    assert units == stock(1, 0, 1, 0)


def test_a_count_has_a_floor_and_a_ceiling() -> None:
    units = stock(5, 3, 2, 0)
    refusal(lambda: domain.adjust(units, -4), domain.COUNT_TOO_LOW)
    refusal(lambda: domain.adjust(units, domain.UNITS_MAX - 4), domain.COUNT_TOO_HIGH)
    assert units == stock(5, 3, 2, 0)
    domain.adjust(units, domain.UNITS_MAX - 5)
    assert units["received"] == domain.UNITS_MAX


def test_lines_of_one_product_are_merged_in_order() -> None:
    lines = [Line("a", 1), Line("b", 2), Line("a", 3)]
    assert domain.merged(lines) == [Line("a", 4), Line("b", 2)]


def test_the_line_that_makes_it_too_many_is_named() -> None:
    lines = [Line("a", 600), Line("b", 999), Line("a", 400)]
    told = refusal(lambda: domain.merged(lines), INVALID)
    assert [error.field for error in told.fields] == ["lines.2.quantity"]
    assert domain.merged([Line("a", 600), Line("a", 399)]) == [Line("a", 999)]


def test_an_order_has_a_part_for_each_store() -> None:
    order = domain.new_order(
        "sub_c", 7, [(Line("lily", 2), LILY), (Line("pepper", 1), PEPPER), (Line("rose", 1), ROSE)]
    )
    assert order == {
        "citizen": "sub_c",
        "placed_ms": 7,
        "total": 2 * 4900 + 5800 + 3800,
        "parts": [
            {
                "store": "s1",
                "state": "placed",
                "lines": [
                    {"product": "lily", "quantity": 2, "price": 4900},
                    {"product": "rose", "quantity": 1, "price": 3800},
                ],
                "total": 13_600,
            },
            {
                "store": "s2",
                "state": "placed",
                "lines": [{"product": "pepper", "quantity": 1, "price": 5800}],
                "total": 5800,
            },
        ],
    }


def test_the_largest_order_fits_every_json_reader() -> None:
    dearest = {"store": "s", "price": domain.PRICE_FEN_MAX, "for_sale": True}
    lines = [(Line(f"p{n}", domain.QUANTITY_MAX), dearest) for n in range(domain.LINES_MAX)]
    assert domain.new_order("sub_c", 0, lines)["total"] <= INTEGER_MAX


def test_the_total_that_was_shown_is_the_total_that_counts() -> None:
    order = {"total": 9800}
    domain.check_total(order, None)
    domain.check_total(order, 9800)
    told = refusal(lambda: domain.check_total(order, 9700), domain.PRICE_CHANGED)
    assert told.detail == {"total": {"amount": 9800, "currency": "CNY"}}


def test_withdrawn_is_not_for_sale() -> None:
    domain.check_for_sale(LILY, "lily")
    withdrawn = {**LILY, "for_sale": False}
    refusal(lambda: domain.check_for_sale(withdrawn, "lily"), domain.NOT_FOR_SALE)


def order_in(*states: str) -> dict[str, Any]:
    return {
        "parts": [
            {"store": f"s{n}", "state": state, "lines": [{"product": f"p{n}", "quantity": 1}]}
            for n, state in enumerate(states)
        ]
    }


@pytest.mark.parametrize(
    ("states", "state"),
    [
        (("placed",), "placed"),
        (("placed", "placed"), "placed"),
        (("fulfilled", "placed"), "partly_fulfilled"),
        (("fulfilled", "fulfilled"), "fulfilled"),
        (("cancelled", "cancelled"), "cancelled"),
        (("refused",), "refused"),
        (("refused", "placed"), "placed"),
        (("cancelled", "placed"), "placed"),
        (("refused", "fulfilled"), "partly_fulfilled"),
        (("fulfilled", "cancelled"), "partly_fulfilled"),
        (("refused", "fulfilled", "placed"), "partly_fulfilled"),
        (("refused", "cancelled"), "cancelled"),
    ],
)
def test_the_state_of_an_order_is_that_of_its_parts(states: tuple[str, ...], state: str) -> None:
    assert domain.order_state(order_in(*states)) == state


def test_what_is_still_placed_is_cancelled_once() -> None:
    order = order_in("placed", "fulfilled", "refused", "placed")
    assert [part["store"] for part in domain.cancel(order)] == ["s0", "s3"]
    assert order == order_in("cancelled", "fulfilled", "refused", "cancelled")
    refusal(lambda: domain.cancel(order), domain.NOT_CANCELLABLE)


@pytest.mark.parametrize("states", [("fulfilled",), ("fulfilled", "refused"), ("cancelled",)])
def test_an_order_that_has_gone_on_is_not_cancelled(states: tuple[str, ...]) -> None:
    order = order_in(*states)
    refusal(lambda: domain.cancel(order), domain.NOT_CANCELLABLE)
    assert order == order_in(*states)


def test_a_part_is_fulfilled_once() -> None:
    part = domain.part_of(order_in("placed", "placed"), "s1")
    assert [line["product"] for line in domain.fulfil(part)] == ["p1"]
    refusal(lambda: domain.fulfil(part), domain.NOT_FULFILLABLE)
    cancelled = order_in("cancelled")["parts"][0]
    refusal(lambda: domain.fulfil(cancelled), domain.NOT_FULFILLABLE)


def test_a_part_is_refused_once_and_says_why() -> None:
    part = domain.part_of(order_in("placed", "placed"), "s1")
    assert [line["product"] for line in domain.refuse(part, "cannot_deliver")] == ["p1"]
    assert (part["state"], part["reason"]) == ("refused", "cannot_deliver")


@pytest.mark.parametrize("state", ["refused", "fulfilled", "cancelled"])
def test_a_part_that_has_ended_is_not_refused(state: str) -> None:
    [part] = order_in(state)["parts"]
    told = refusal(lambda: domain.refuse(part, "out_of_stock"), domain.NOT_REFUSABLE)
    assert told.detail == {"state": state}
    assert [part] == order_in(state)["parts"]


def test_an_order_is_over_once_no_part_is_placed() -> None:
    for states in (("placed", "refused"), ("fulfilled", "placed")):
        order = order_in(*states)
        domain.close(order, 7)
        assert "closed_ms" not in order
    order = order_in("fulfilled", "refused", "cancelled")
    domain.close(order, 7)
    assert order["closed_ms"] == 7


def test_nothing_is_due_for_what_was_refused_or_cancelled() -> None:
    order = order_in("placed", "fulfilled", "refused", "cancelled")
    for number, part in enumerate(order["parts"]):
        part["total"] = 10**number
    assert domain.due(order) == 11
