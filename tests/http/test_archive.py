"""What is long over has left local disks, and nobody who asks for it can tell."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.commerce.domain import STATES
from tests.http.test_commerce_orders import cancel, fulfil, refuse
from tests.http.test_commerce_parts import order_of_two
from tests.support.clinic import Clinic
from tests.support.gate import Gate
from tests.support.served import Json, Served, json_of, made, refused
from tests.support.shop import Shop

LATER_HOURS = 24 * 120


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    with Clinic(tmp_path) as clinic:
        clinic.open_desks()
        yield clinic


def pages(served: Served, path: str, by: str, limit: int = 2) -> list[Json]:
    """All the items of a list."""
    items: list[Json] = []
    after = ""
    while True:
        page = json_of(served.get(f"{path}limit={limit}{after}", by=by))
        items += page["items"]
        if page["after"] is None:
            return items
        after = f"&after={page['after']}"


# Commerce


def test_closed_orders_leave_and_are_there_all_the_same(fresh_shop: Shop) -> None:
    shop = fresh_shop
    lily = shop.lily(on_hand=50)
    orders = [shop.order(lily, by=f"citizen-{number % 2}") for number in range(10)]
    for order in orders[:4]:
        made(fulfil(shop, order))
    made(shop.post(f"/v1/orders/{orders[4]['id']}/cancellation", by="citizen-0"))
    made(refuse(shop, orders[5]))
    paths = [(f"/v1/orders/{each['id']}", f"citizen-{n % 2}") for n, each in enumerate(orders)]
    store = orders[0]["parts"][0]["store_id"]
    shop.clock.pass_wall(hours=LATER_HOURS)
    shop.order(lily, by="citizen-0")

    def everything() -> list[object]:
        found = [shop.get(path, by=by) for path, by in paths]
        lists = [pages(shop, "/v1/orders?", f"citizen-{n}") for n in range(2)]
        lists += [
            pages(shop, f"/v1/stores/{store}/orders?state={state}&", "merchant-1")
            for state in STATES
        ]
        return [*[(each.json, each.headers["ETag"]) for each in found], *lists]

    before = everything()
    shop.archive()

    assert len(shop.in_replica("orders")) == len(shop.in_replica("consignments")) == 5
    assert everything() == before
    for path, by in paths:
        other = "citizen-1" if by == "citizen-0" else "citizen-0"
        refused(shop.get(path, by=other), 404, "not-found")
    for number in range(6):
        path, by = paths[number]
        refused(shop.post(f"{path}/cancellation", by=by), 409, "not-cancellable")
    refused(fulfil(shop, orders[0]), 409, "not-fulfillable")
    assert shop.stock(lily) == {"received": 50, "on_hand": 41, "reserved": 5, "sold": 4}


def test_an_order_of_two_stores_leaves_once_neither_has_anything_to_do(fresh_shop: Shop) -> None:
    shop = fresh_shop
    lily, pepper = shop.lily(5), shop.lily(5, by="merchant-2")
    order = order_of_two(shop, lily, pepper)
    made(fulfil(shop, order))
    shop.clock.pass_wall(hours=LATER_HOURS)
    shop.archive()
    assert shop.in_replica("orders") == [order["id"]]
    left = made(cancel(shop, order))
    shop.clock.pass_wall(hours=LATER_HOURS)
    shop.archive()
    assert (shop.in_replica("orders"), shop.in_replica("consignments")) == ([], [])
    assert json_of(shop.get(f"/v1/orders/{order['id']}", by="citizen-1")) == left
    assert shop.stock(pepper, by="merchant-2")["reserved"] == 0


def test_what_closed_lately_stays(fresh_shop: Shop) -> None:
    shop = fresh_shop
    order = shop.order(shop.lily())
    shop.clock.pass_wall(hours=LATER_HOURS)
    made(fulfil(shop, order))

    shop.archive()

    assert shop.in_replica("orders") == [order["id"]]


# Tourism


def test_past_bookings_leave_and_are_there_all_the_same(fresh_gate: Gate) -> None:
    gate = fresh_gate
    session = gate.open_session()
    bookings = []
    for _ in range(3):
        gate.clock.pass_wall(seconds=1)
        bookings.append(gate.confirmed(session))
    before = pages(gate, "/v1/bookings?", "citizen-1")
    ticket = bookings[0]["tickets"][0]["id"]
    gate.clock.pass_wall(hours=LATER_HOURS)

    gate.archive()

    assert gate.in_replica("bookings") == []
    assert pages(gate, "/v1/bookings?", "citizen-1") == before
    for each in bookings:
        path = f"/v1/bookings/{each['id']}"
        assert json_of(gate.get(path, by="citizen-1")) == each
        refused(gate.get(path, by="citizen-2"), 404, "not-found")
    refused(gate.admit(ticket), 409, "outside-entry-window")
    refused(gate.act(bookings[0], "cancellation"), 409, "not-refundable")


# Health


def test_past_appointments_leave_and_come_back_where_they_change(clinic: Clinic) -> None:
    session = clinic.session(places=3)
    appointments = [clinic.booked(session, slot) for slot in (0,)]
    appointments += [clinic.booked(session, 1, by="citizen-2")]
    before = pages(clinic, "/v1/appointments?", "citizen-1")
    clinic.clock.pass_wall(hours=LATER_HOURS)

    clinic.archive()

    assert clinic.in_replica("appointments") == []
    assert pages(clinic, "/v1/appointments?", "citizen-1") == before == appointments[:1]
    refused(clinic.at_desk("check-in", appointments[0]), 409, "not-today")
    answer = clinic.at_desk("no-show", appointments[0], key="missed")
    assert made(answer)["state"] == "no_show"
    assert clinic.in_replica("appointments") == [appointments[0]["id"]]
    path = f"/v1/appointments/{appointments[0]['id']}"
    assert json_of(clinic.get(path, by="citizen-1"))["state"] == "no_show"
    clinic.archive()
    assert clinic.in_replica("appointments") == []
    assert made(clinic.at_desk("no-show", appointments[0], key="missed")) == made(answer)
    assert json_of(clinic.get(path, by="citizen-1"))["state"] == "no_show"
