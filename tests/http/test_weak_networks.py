"""What the main answers weigh: docs/weak-networks.md is true, and lists stay small."""

import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from infra.seeds import commerce, health, tourism
from shared.auth.subjects import subjects
from tests.support.clinic import Clinic
from tests.support.gate import Gate, visitor
from tests.support.served import Json, all_divisions, json_of, made
from tests.support.shop import Shop, order_of
from tests.support.tokens import SUBJECT_KEY

DOCUMENT = Path(__file__).parents[2] / "docs" / "weak-networks.md"
LIST_BYTES_MAX = 4096
CALENDAR_BYTES_MAX = 2048
CITIZEN = "citizen-1"

ROW = re.compile(r"^\| (?P<name>[^|]+?) \| ([^|]+) \| (?P<plain>[\d,]+) \| (?P<packed>[\d,]+) \|$")


@dataclass(frozen=True, slots=True)
class Houses:
    """The three services with the samples that `make run` plants."""

    shop: Shop
    gate: Gate
    clinic: Clinic


@pytest.fixture(scope="module")
def houses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Houses]:
    root, subject_of = tmp_path_factory.mktemp("weak"), subjects(SUBJECT_KEY)
    with (
        Shop(root / "shop") as shop,
        Gate(root / "gate") as gate,
        Clinic(root / "clinic") as clinic,
    ):
        commerce.plant(shop.database, subject_of, all_divisions())
        tourism.plant(gate.database, subject_of, gate.clock.now_ms())
        health.plant(clinic.database, subject_of, clinic.clock.now_ms())
        for each in (shop, gate, clinic):
            each.clock.pass_monotonic(2)
        yield Houses(shop, gate, clinic)


def products(houses: Houses) -> TestResponse:
    return houses.shop.get("/v1/products?limit=20")


def product(houses: Houses) -> TestResponse:
    return houses.shop.get(f"/v1/products/{_a_product(houses)}")


def _a_product(houses: Houses) -> str:
    items: list[Json] = json_of(products(houses))["items"]
    return str(items[0]["id"])


def orders(houses: Houses) -> TestResponse:
    for _ in range(21):
        made(houses.shop.post("/v1/orders", order_of(_a_product(houses)), by=CITIZEN))
    return houses.shop.get("/v1/orders?limit=20", by=CITIZEN)


def order(houses: Houses) -> TestResponse:
    return houses.shop.post("/v1/orders", order_of(_a_product(houses)), by=CITIZEN)


def attractions(houses: Houses) -> TestResponse:
    return houses.gate.get("/v1/attractions?limit=20")


def calendar(houses: Houses) -> TestResponse:
    return houses.gate.get("/v1/products/sample-mogao-a/calendar?month=2026-01")


def day(houses: Houses) -> TestResponse:
    return houses.gate.get("/v1/products/sample-mogao-a/sessions?day=2026-01-05")


def booking(houses: Houses) -> TestResponse:
    session = json_of(day(houses))["items"][0]["id"]
    body = {"session_id": session, "visitors": [visitor(1), visitor(2)]}
    return houses.gate.post("/v1/bookings", body, by=CITIZEN)


def hospitals(houses: Houses) -> TestResponse:
    return houses.clinic.get("/v1/hospitals?limit=20")


def availability(houses: Houses) -> TestResponse:
    path = "/v1/departments/sample-lzu-first-internal/availability?first=2026-01-01"
    return houses.clinic.get(path)


def appointment(houses: Houses) -> TestResponse:
    path = "/v1/departments/sample-lzu-first-internal/sessions?date=2026-01-05"
    session = json_of(houses.clinic.get(path))["items"][0]["id"]
    return houses.clinic.book(houses.clinic.read(session), by=CITIZEN)


LISTS: dict[str, Callable[[Houses], TestResponse]] = {
    "20 products": products,
    "20 orders": orders,
    "20 attractions": attractions,
    "20 hospitals": hospitals,
}
CALENDARS = {
    "a month of tickets": calendar,
    "two weeks of a department": availability,
}
ANSWERS = {
    **LISTS,
    **CALENDARS,
    "a product": product,
    "a new order": order,
    "a day's sessions": day,
    "a new booking for two": booking,
    "a new appointment": appointment,
}


def packed(body: bytes) -> int:
    """The bytes of a body as the gateway sends it: gzip at level 4."""
    squeezer = zlib.compressobj(4, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return len(squeezer.compress(body) + squeezer.flush())


def documented() -> dict[str, tuple[int, int]]:
    rows = map(ROW.match, DOCUMENT.read_text(encoding="utf-8").splitlines())
    return {
        row["name"]: (int(row["plain"].replace(",", "")), int(row["packed"].replace(",", "")))
        for row in rows
        if row
    }


@pytest.mark.parametrize("name", LISTS)
def test_twenty_items_cross_a_weak_network(houses: Houses, name: str) -> None:
    answer = ANSWERS[name](houses)
    assert len(json_of(answer)["items"]) == 20
    assert packed(answer.data) <= LIST_BYTES_MAX


@pytest.mark.parametrize("name", CALENDARS)
def test_a_calendar_is_small_even_where_nothing_compresses_it(houses: Houses, name: str) -> None:
    answer = ANSWERS[name](houses)
    assert answer.status_code == 200
    assert len(answer.data) <= CALENDAR_BYTES_MAX


@pytest.mark.parametrize("name", ANSWERS)
def test_the_page_says_what_answers_weigh(houses: Houses, name: str) -> None:
    answer = ANSWERS[name](houses)
    assert answer.status_code in {200, 201}, answer.text
    plain, squeezed = documented()[name]
    # Ids make some difference, and of what is packed times too, which here are all the same.
    assert plain == pytest.approx(len(answer.data), rel=0.01)
    assert squeezed == pytest.approx(packed(answer.data), rel=0.04)


def test_the_page_names_nothing_else() -> None:
    assert documented().keys() == ANSWERS.keys()
