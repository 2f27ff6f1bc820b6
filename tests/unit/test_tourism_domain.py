"""The rules of tourism, on plain documents. Sequences of them are in tests/property."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from services.tourism import domain
from services.tourism.domain import Pattern, Window
from shared.errors import INVALID, Problem, Refused
from shared.storage.catalogue import Body
from shared.times import DAY_MS, HOUR_MS, MINUTE_MS, midnight_ms

MONDAY = date(2026, 1, 5)
NINE = midnight_ms(MONDAY) + 9 * HOUR_MS
ELEVEN = NINE + 2 * HOUR_MS
PRODUCT = {"attraction": "mogao", "price": 10_000, "days_ahead": 30, "hold_minutes": 15}
DAILY_MAX = 20


def session(capacity: int = 10) -> Body:
    return domain.new_session("ticket", PRODUCT, MONDAY, Window(540, 660, capacity))


def held(placed: Body, day: Body, places: int = 1, now_ms: int = NINE - DAY_MS) -> Body:
    """A booking that holds so many places of a session."""
    domain.hold(placed, day, DAILY_MAX, places)
    visitors = [f"doc_{number}" for number in range(places)]
    return domain.new_booking("sub_c", "s1", placed, PRODUCT, visitors, now_ms)


def confirmed(placed: Body, day: Body, places: int = 1) -> Body:
    booking = held(placed, day, places)
    domain.confirm(booking, placed, NINE - DAY_MS)
    return booking


def counts(placed: Body, day: Body) -> list[int]:
    return [*(placed[name] for name in ("free", "held", "sold", "admitted")), *day.values()]


def refusal(act: Callable[[], Any], problem: Problem) -> Refused:
    with pytest.raises(Refused) as refused:
        act()
    assert refused.value.problem is problem
    return refused.value


# Sessions


def test_a_session_is_of_a_day_and_time_in_gansu() -> None:
    made = session()
    assert (domain.begins_ms(made), domain.ends_ms(made)) == (NINE, ELEVEN)
    assert domain.session_key("ticket", MONDAY, 545) == "ticket.20260105.0905"
    assert domain.today(midnight_ms(MONDAY)) == "2026-01-05"
    assert domain.today(midnight_ms(MONDAY) - 1) == "2026-01-04"


def test_a_pattern_may_be_as_long_as_two_months_and_no_longer() -> None:
    def check(last: date) -> None:
        domain.check_pattern(Pattern(MONDAY, last, frozenset({1}), (Window(540, 660, 1),)), MONDAY)

    check(date(2026, 3, 7))
    told = refusal(lambda: check(date(2026, 3, 8)), INVALID)
    assert [error.field for error in told.fields] == ["last_day"]


def test_two_hundred_sessions_are_opened_at_once_and_no_more() -> None:
    def check(days: int, windows: int) -> None:
        each = tuple(Window(start, start + 1, 1) for start in range(windows))
        last = date(2026, 1, 4 + days)
        domain.check_pattern(Pattern(MONDAY, last, frozenset(range(1, 8)), each), MONDAY)

    check(4, 50)
    told = refusal(lambda: check(3, 67), INVALID)
    assert [error.field for error in told.fields] == ["windows"]


def test_a_session_can_be_booked_from_its_sale_until_it_ends() -> None:
    made = session(10)
    sale = midnight_ms(date(2025, 12, 6))
    told = refusal(lambda: domain.check_open(made, PRODUCT, sale - 1), domain.NOT_ON_SALE)
    assert told.detail == {"on_sale_at": "2025-12-05T16:00:00.000Z"}
    for now_ms in (sale, ELEVEN - 1):
        domain.check_open(made, PRODUCT, now_ms)
    refusal(lambda: domain.check_open(made, PRODUCT, ELEVEN), domain.OVER)
    times = (sale - 1, sale, ELEVEN - 1, ELEVEN)
    assert [domain.available(made, PRODUCT, 7, now_ms) for now_ms in times] == [0, 7, 7, 0]
    assert domain.available(made, PRODUCT, 70, sale) == 10
    domain.close(made, sale)
    refusal(lambda: domain.check_open(made, PRODUCT, sale), domain.CLOSED)
    assert domain.available(made, PRODUCT, 7, sale) == 0


# Places


def test_places_move_and_none_is_lost() -> None:
    placed, day = session(10), domain.new_day()
    first, second = held(placed, day, 3), held(placed, day, 2)
    assert counts(placed, day) == [5, 5, 0, 0, 5, 0]
    domain.confirm(first, placed, NINE - DAY_MS)
    assert counts(placed, day) == [5, 2, 3, 0, 5, 0]
    domain.give_back(second, placed, day, "cancelled")
    assert (second["state"], counts(placed, day)) == ("cancelled", [7, 0, 3, 0, 3, 0])
    domain.admit(first, 0, placed, day, NINE, None, "sub_gate")
    domain.give_back(first, placed, day, "cancelled")
    assert (first["state"], counts(placed, day)) == ("confirmed", [9, 0, 1, 1, 1, 1])
    assert [ticket.get("void", False) for ticket in first["tickets"]] == [False, True, True]


def test_the_last_place_can_be_held_and_no_more() -> None:
    placed, day = session(3), domain.new_day()
    held(placed, day, 2)
    told = refusal(lambda: domain.hold(placed, day, DAILY_MAX, 2), domain.SOLD_OUT)
    assert told.detail == {"available": 1}
    held(placed, day, 1)
    assert counts(placed, day) == [0, 3, 0, 0, 3, 0]


def test_an_attractions_day_can_be_full_before_its_sessions_are() -> None:
    one, other, day = session(30), session(30), domain.new_day()
    held(one, day, DAILY_MAX - 1)
    told = refusal(lambda: domain.hold(other, day, DAILY_MAX, 2), domain.DAY_FULL)
    assert told.detail == {"available": 1}
    held(other, day, 1)
    assert counts(other, day) == [29, 1, 0, 0, DAILY_MAX, 0]


def test_a_hold_is_good_until_its_time_has_come() -> None:
    placed, day = session(), domain.new_day()
    booking = held(placed, day, now_ms=NINE)
    until = NINE + 15 * MINUTE_MS
    assert booking["held_until_ms"] == until
    assert held(placed, day, now_ms=ELEVEN - MINUTE_MS)["held_until_ms"] == ELEVEN
    assert not domain.is_expired(booking, until - 1)
    refusal(lambda: domain.confirm(booking, placed, until), domain.EXPIRED)
    domain.confirm(booking, placed, until - 1)
    refusal(lambda: domain.confirm(booking, placed, until - 1), domain.NOT_HELD)
    assert not domain.is_expired(booking, until)


def test_tickets_can_be_given_back_until_their_session_begins() -> None:
    placed, day = session(), domain.new_day()
    booking = confirmed(placed, day)
    domain.check_refundable(booking, placed, NINE - 1)
    refusal(lambda: domain.check_refundable(booking, placed, NINE), domain.NOT_REFUNDABLE)


def test_a_hold_can_be_given_back_while_it_lasts() -> None:
    placed, day = session(), domain.new_day()
    booking = held(placed, day, now_ms=NINE)
    until = NINE + 15 * MINUTE_MS
    domain.check_refundable(booking, placed, until - 1)
    told = refusal(lambda: domain.check_refundable(booking, placed, until), domain.NOT_REFUNDABLE)
    assert told.detail == {"state": "expired"}


def test_nobody_confirms_or_comes_in_once_a_session_is_closed() -> None:
    placed, day = session(), domain.new_day()
    waiting, ticket = held(placed, day), confirmed(placed, day)
    domain.close(placed, NINE - DAY_MS)
    refusal(lambda: domain.confirm(waiting, placed, NINE - DAY_MS), domain.CLOSED)
    refusal(lambda: domain.admit(ticket, 0, placed, day, NINE, None, "sub_gate"), domain.NOT_VALID)
    assert counts(placed, day) == [8, 1, 1, 0, 2, 0]


def test_a_ticket_lets_in_from_the_beginning_of_its_window_until_its_end() -> None:
    placed, day = session(), domain.new_day()
    booking = confirmed(placed, day, 2)
    for now_ms in (NINE - 1, ELEVEN):
        told = refusal(
            lambda now_ms=now_ms: domain.admit(booking, 0, placed, day, now_ms, None, "sub_gate"),  # type: ignore[misc]
            domain.NOT_NOW,
        )
        assert told.detail == {
            "from": "2026-01-05T01:00:00.000Z",
            "until": "2026-01-05T03:00:00.000Z",
        }
    domain.admit(booking, 0, placed, day, NINE, "doc_0", "sub_gate")
    domain.admit(booking, 1, placed, day, ELEVEN - 1, None, "sub_gate")
    assert counts(placed, day) == [8, 0, 2, 2, 2, 2]


def test_a_capacity_comes_down_to_what_was_asked_as_places_come_back() -> None:
    placed, day = session(10), domain.new_day()
    booking = held(placed, day, 6)
    domain.set_capacity(placed, 4)
    assert (placed["capacity"], placed["free"]) == (6, 0)
    domain.give_back(booking, placed, day, "cancelled")
    domain.fit(placed, 4)
    assert (placed["capacity"], placed["free"]) == (4, 4)


# Crowds


def test_a_level_begins_at_its_percentage() -> None:
    come = (99, 100, 119, 120, 140, 160)
    assert [domain.crowd_level(admitted, 200, (50, 60, 70, 80)) for admitted in come] == [
        "green",
        "yellow",
        "yellow",
        "orange",
        "red",
        "full",
    ]
