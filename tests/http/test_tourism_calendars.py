"""Calendars: what of a month, a day and a session can be booked now."""

import pytest

from services.tourism.actions import calendars
from services.tourism.schemas.tickets import CalendarSchema, ProductsSchema, SessionsSchema
from shared.times import clock_of
from tests.support.gate import DAILY_MAX, Gate, pattern_of
from tests.support.served import json_of, made, refused

OPEN = "/v1/products/ticket/sessions"


def test_a_month_is_small_and_not_sent_twice(fresh_gate: Gate) -> None:
    gate = fresh_gate
    windows = [(480 + 40 * number, 520 + 40 * number, 15) for number in range(6)]
    body = pattern_of("2026-01-01", *windows, last="2026-01-31")
    assert made(gate.post(OPEN, body, by="scenic-1"))["opened"] == 186
    answer = gate.get("/v1/products/ticket/calendar?month=2026-01")
    calendar = json_of(answer)
    assert CalendarSchema().validate(calendar) == {}
    assert calendar["days"][30] == {"day": 31, "sessions": 6, "available": 90}
    assert len(answer.data) <= 2048
    known = {"If-None-Match": answer.headers["ETag"]}
    path = "/v1/products/ticket/calendar?month=2026-01"
    assert gate.get(path, headers=known).status_code == 304
    made(gate.hold("ticket.20260105.0800", 2))
    gate.clock.pass_monotonic(2)
    later = json_of(gate.get(path, headers=known))
    assert later["days"][4]["available"] == 88
    day = json_of(gate.get(f"{OPEN}?day=2026-01-05"))
    assert SessionsSchema().validate(day) == {}
    assert [session["available"] for session in day["items"]] == [13] + [15] * 5
    assert json_of(gate.get("/v1/products/ticket/calendar?month=2026-02"))["days"] == []


def offered(gate: Gate, session: str) -> list[int]:
    """What a session's own answer, its day, its month and its staff say can be booked of it."""
    gate.clock.pass_monotonic(2)
    one = json_of(gate.get(f"/v1/sessions/{session}"))
    day = json_of(gate.get(f"{OPEN}?day={one['day']}"))["items"]
    month = json_of(gate.get(f"/v1/products/ticket/calendar?month={one['day'][:7]}"))["days"]
    return [
        one["available"],
        *(each["available"] for each in day if each["id"] == session),
        *(each["available"] for each in month if each["day"] == int(one["day"][8:])),
        gate.counts(session)["available"],
    ]


def test_what_is_not_on_sale_yet_or_over_is_not_offered(fresh_gate: Gate) -> None:
    gate = fresh_gate
    session = gate.open_session(5, day="2026-02-03")
    assert offered(gate, session) == [0, 0, 0, 0]
    gate.to_start(session)
    assert offered(gate, session) == [5, 5, 5, 5]
    gate.clock.pass_wall(hours=2)
    assert offered(gate, session) == [0, 0, 0, 0]


def test_no_more_is_offered_than_the_day_may_take(fresh_gate: Gate) -> None:
    gate = fresh_gate
    session, other = gate.open_session(DAILY_MAX), gate.open_session(DAILY_MAX)
    for number in range(DAILY_MAX // 5 - 1):
        gate.confirmed(session, 5, by=f"citizen-{number}")
    assert offered(gate, session) == [5, 5, 5, 5]
    assert offered(gate, other) == [5, 5, 5, 5]
    gate.confirmed(other, 5)
    assert offered(gate, other) == [0, 0, 0, 0]


def test_a_closed_session_is_none_of_its_days(fresh_gate: Gate) -> None:
    gate = fresh_gate
    kept, closed = gate.open_session(10), gate.open_session(7)
    made(gate.post(f"/v1/sessions/{closed}/closure", by="scenic-1"))
    assert offered(gate, kept) == [10, 10, 10, 10]
    [day] = json_of(gate.get("/v1/products/ticket/calendar?month=2026-01"))["days"]
    assert day == {"day": 2, "sessions": 1, "available": 10}
    made(gate.post(f"/v1/sessions/{kept}/closure", by="scenic-1"))
    gate.clock.pass_monotonic(2)
    [day] = json_of(gate.get("/v1/products/ticket/calendar?month=2026-01"))["days"]
    assert day == {"day": 2, "sessions": 0, "available": 0}


def test_a_month_of_very_many_sessions_is_whole(fresh_gate: Gate) -> None:
    gate = fresh_gate
    starts = range(6 * 60, 18 * 60, 15)
    for place in range(0, len(starts), 6):
        windows = [(start, start + 15, 1) for start in starts[place : place + 6]]
        made(gate.post(OPEN, pattern_of("2026-01-01", *windows, last="2026-01-31"), by="scenic-1"))
    month = json_of(gate.get("/v1/products/ticket/calendar?month=2026-01"))["days"]
    assert [(each["day"], each["sessions"]) for each in month] == [
        (day, len(starts)) for day in range(1, 32)
    ]


def test_a_day_of_very_many_sessions_is_whole(
    fresh_gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = fresh_gate
    monkeypatch.setattr(calendars, "_SESSIONS_AT_ONCE", 100)
    starts = range(8 * 60, 8 * 60 + 240)
    for place in range(0, len(starts), 12):
        windows = [(start, start + 60, 1) for start in starts[place : place + 12]]
        made(gate.post(OPEN, pattern_of("2026-01-02", *windows), by="scenic-1"))
    day = json_of(gate.get(f"{OPEN}?day=2026-01-02"))["items"]
    assert [each["start"] for each in day] == [clock_of(start) for start in starts]


def test_staff_are_told_of_a_day_that_is_none(gate: Gate) -> None:
    answer = gate.get("/v1/attractions/mogao/sessions?day=2026-02-30", by="scenic-1")
    refused(answer, 422, "invalid-request", "day")


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("calendar", "month"),
        ("calendar?month=2026-13", "month"),
        ("calendar?month=2026-1", "month"),
        ("sessions", "day"),
        ("sessions?day=2026-02-30", "day"),
    ],
)
def test_a_month_or_day_that_is_none_is_named(gate: Gate, path: str, field: str) -> None:
    refused(gate.get(f"/v1/products/ticket/{path}"), 422, "invalid-request", field)


def test_products_are_listed_with_their_price(gate: Gate) -> None:
    products = json_of(gate.get("/v1/attractions/mogao/products"))
    assert ProductsSchema().validate(products) == {}
    assert [product["sample"] for product in products["items"]] == [True]
    refused(gate.get("/v1/attractions/nowhere/products"), 404, "not-found")
