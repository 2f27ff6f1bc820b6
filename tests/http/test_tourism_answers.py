"""Whole answers of tourism, member by member, under a clock that stands still."""

import pytest

from services.tourism.actions import sessions as actions
from tests.support.gate import DAILY_MAX, Gate
from tests.support.served import Json, json_of, made

ENGLISH = {"Accept-Language": "en"}

MOGAO: Json = {
    "id": "mogao",
    "name": "莫高窟",
    "name_zh": "莫高窟",
    "name_en": "Mogao Caves",
    "division": "620982",
    "latitude": 40_040_000,
    "longitude": 94_800_000,
}
MINGSHA: Json = {
    "id": "mingsha",
    "name": "鸣沙山月牙泉",
    "name_zh": "鸣沙山月牙泉",
    "name_en": "Mingsha Shan–Crescent Spring",
    "division": "620982",
    "latitude": 40_090_000,
    "longitude": 94_670_000,
    "level": "5A",
}
TICKET: Json = {
    "id": "ticket",
    "attraction_id": "mogao",
    "name": "莫高窟（示例）",
    "name_zh": "莫高窟（示例）",
    "name_en": "Mogao Caves (sample)",
    "description": "示例",
    "price": {"amount": 10_000, "currency": "CNY"},
    "days_ahead": 30,
    "hold_minutes": 15,
    "sample": True,
}
SESSION: Json = {
    "id": "ticket.20260102.1001",
    "product_id": "ticket",
    "attraction_id": "mogao",
    "day": "2026-01-02",
    "start": "10:01",
    "end": "12:01",
    "starts_at": "2026-01-02T02:01:00.000Z",
    "ends_at": "2026-01-02T04:01:00.000Z",
    "state": "open",
    "capacity": 10,
    "available": 10,
}


def english(shown: Json) -> Json:
    return {**shown, "name": shown["name_en"]}


def test_an_attraction_says_where_it_is_in_both_languages(gate: Gate) -> None:
    assert json_of(gate.get("/v1/attractions/mogao")) == MOGAO
    assert json_of(gate.get("/v1/attractions/mogao", headers=ENGLISH)) == english(MOGAO)
    near = "/v1/attractions?near=40.04,94.80&limit=2"
    nearest = [{**MOGAO, "distance_m": 0}, {**MINGSHA, "distance_m": 12_381}]
    assert json_of(gate.get(near))["items"] == nearest
    assert json_of(gate.get(near, headers=ENGLISH))["items"] == [english(each) for each in nearest]


def test_a_product_says_what_it_is_in_both_languages_and_for_seconds(gate: Gate) -> None:
    in_english = english(TICKET) | {"description": "A sample"}
    for headers, shown in (({}, TICKET), (ENGLISH, in_english)):
        answer = gate.get("/v1/products/ticket", headers=headers)
        assert json_of(answer) == shown
        # A price that has changed is shown within seconds.
        assert answer.headers["Cache-Control"].startswith("public, max-age=2,")
        listed = json_of(gate.get("/v1/attractions/mogao/products", headers=headers))
        assert listed == {"items": [shown], "after": None}


def test_a_session_says_when_it_is_and_what_is_left(fresh_gate: Gate) -> None:
    gate = fresh_gate
    session = gate.open_session(10)
    assert json_of(gate.get(f"/v1/sessions/{session}")) == SESSION
    made(gate.hold(session, 2))
    [ticket, *_] = gate.confirmed(session, 3)["tickets"]
    gate.to_start(session)
    made(gate.admit(ticket["id"]))
    gate.clock.pass_monotonic(2)
    # The hold of yesterday has expired, and nobody has let go of it yet.
    shown = SESSION | {"available": 5}
    assert json_of(gate.get(f"/v1/sessions/{session}")) == shown
    day = json_of(gate.get("/v1/products/ticket/sessions?day=2026-01-02"))
    assert day == {"items": [shown]}
    assert gate.counts(session) == shown | {"held": 2, "sold": 3, "admitted": 1}
    month = json_of(gate.get("/v1/products/ticket/calendar?month=2026-01"))
    days = [{"day": 2, "sessions": 1, "available": 5}]
    assert month == {"product_id": "ticket", "month": "2026-01", "days": days}
    closed = made(gate.post(f"/v1/sessions/{session}/closure", by="scenic-1"))
    assert closed == SESSION | {"state": "closed", "available": 0}


def test_a_booking_from_its_hold_to_its_gate(fresh_gate: Gate) -> None:
    gate = fresh_gate
    session = gate.open_session(10)
    answer = gate.hold(session, 2)
    booking = answer.headers["Location"].rpartition("/")[2]

    def tickets(*states: str) -> list[Json]:
        return [{"id": f"{booking}.{place}", "state": state} for place, state in enumerate(states)]

    common: Json = {
        "id": booking,
        "session_id": session,
        "attraction_id": "mogao",
        "day": "2026-01-02",
        "start": "10:01",
        "end": "12:01",
        "total": {"amount": 20_000, "currency": "CNY"},
        "placed_at": "2026-01-01T00:00:00.000Z",
    }
    held = common | {
        "state": "held",
        "held_until": "2026-01-01T00:15:00.000Z",
        "tickets": tickets("waiting", "waiting"),
    }
    assert made(answer) == held
    gate.clock.pass_wall(seconds=60)
    sold = made(gate.act(held, "confirmation"))
    assert sold == common | {"state": "confirmed", "tickets": tickets("valid", "valid")}
    gate.to_start(session)
    assert made(gate.admit(f"{booking}.1")) == {
        "ticket_id": f"{booking}.1",
        "session_id": session,
        "admitted_at": "2026-01-02T02:01:00.000Z",
    }
    inside = tickets("valid", "used")
    inside[1]["admitted_at"] = "2026-01-02T02:01:00.000Z"
    seen = json_of(gate.get(f"/v1/bookings/{booking}", by="citizen-1"))
    assert seen == common | {"state": "confirmed", "tickets": inside}


@pytest.mark.parametrize("is_confirmed", [False, True])
def test_a_booking_that_was_given_back_has_no_ticket(gate: Gate, *, is_confirmed: bool) -> None:
    booking = made(gate.hold(gate.open_session(), 2))
    if is_confirmed:
        booking = made(gate.act(booking, "confirmation"))
    given_back = made(gate.act(booking, "cancellation"))
    void = [{"id": f"{booking['id']}.{place}", "state": "void"} for place in range(2)]
    booking.pop("held_until", None)
    assert given_back == {**booking, "state": "cancelled", "tickets": void}


def test_a_crowd_has_counts_and_thresholds_of_its_attraction(fresh_gate: Gate) -> None:
    gate = fresh_gate
    actions.plant_operator(
        gate.database,
        "yulin",
        {"staff": [], "gates": [], "daily_max": 10, "thresholds": [10, 20, 30, 40]},
    )
    session = gate.open_session()
    [ticket, *_] = gate.confirmed(session, 3)["tickets"]
    gate.to_start(session)
    made(gate.admit(ticket["id"]))
    mogao: Json = {
        "attraction_id": "mogao",
        "day": "2026-01-02",
        "booked": 3,
        "admitted": 1,
        "daily_max": DAILY_MAX,
        "level": "green",
        "thresholds": [80, 90, 95, 100],
        "sample": True,
    }
    assert json_of(gate.get("/v1/attractions/mogao/crowd")) == mogao
    nobody: Json = {"day": "2026-01-02", "booked": 0, "admitted": 0}
    assert json_of(gate.get("/v1/attractions/yulin/crowd")) == nobody | {
        "attraction_id": "yulin",
        "daily_max": 10,
        "level": "green",
        "thresholds": [10, 20, 30, 40],
        "sample": True,
    }
    assert json_of(gate.get("/v1/attractions/jiayuguan/crowd")) == nobody | {
        "attraction_id": "jiayuguan",
        "thresholds": [80, 90, 95, 100],
        "sample": False,
    }
