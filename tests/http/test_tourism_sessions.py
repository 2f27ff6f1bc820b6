"""Attractions, and what staff do with sessions."""

from typing import Any

import pytest

from services.tourism.actions import closing
from services.tourism.actions.closing import CALLED_OFF_MAX
from services.tourism.actions.places import RELEASED_MAX
from services.tourism.domain import HOLDS_MAX
from services.tourism.schemas.attractions import AttractionsSchema, CrowdSchema
from services.tourism.schemas.tickets import (
    CapacitySchema,
    OwnSessionsSchema,
)
from shared.errors import BUSY, Refused
from tests.support.gate import DAILY_MAX, Gate, pattern_of, visitor
from tests.support.served import Json, json_of, made, refused

OPEN = "/v1/products/ticket/sessions"


def ids(gate: Gate, query: str) -> list[str]:
    return [item["id"] for item in json_of(gate.get(f"/v1/attractions?{query}"))["items"]]


# Attractions


def test_attractions_are_found_by_text_and_by_place(gate: Gate) -> None:
    whole = json_of(gate.get("/v1/attractions?limit=100"))
    assert AttractionsSchema().validate(whole) == {}
    assert len(whole["items"]) == 27
    assert ids(gate, "q=莫高") == ["mogao"]
    assert ids(gate, "q=pass") == ["jiayuguan", "yumenguan", "yangguan"]
    assert "yulin" in ids(gate, "division=620900")
    assert "yulin" not in ids(gate, "division=620982")
    refused(gate.get("/v1/attractions?division=629999"), 422, "invalid-request", "division")
    english = json_of(gate.get("/v1/attractions/mogao", headers={"Accept-Language": "en"}))
    assert english["name"] == "Mogao Caves"
    assert "max-age=3600" in gate.get("/v1/attractions").headers["Cache-Control"]


def test_the_nearest_attraction_comes_first_and_pages_go_on(gate: Gate) -> None:
    near = json_of(gate.get("/v1/attractions?near=40.04,94.80&limit=4"))
    distances = [item["distance_m"] for item in near["items"]]
    assert near["items"][0]["id"] == "mogao"
    assert distances == sorted(distances)
    assert distances[0] == 0
    # Crescent Spring is about twelve kilometres from the caves.
    assert near["items"][1]["id"] == "mingsha"
    assert 11_000 < distances[1] < 14_000
    rest = json_of(gate.get(f"/v1/attractions?near=40.04,94.80&limit=100&after={near['after']}"))
    assert len(rest["items"]) == 23
    assert rest["items"][0]["distance_m"] >= distances[-1]


def test_the_nearest_within_a_division_are_all_there(gate: Gate) -> None:
    assert ids(gate, "near=40.04,94.80&division=620200") == ["jiayuguan"]


@pytest.mark.parametrize("near", ["", "40", "40,x", "31.0,94.8", "40.0,120.0", "40.04, 94.80"])
def test_a_point_that_is_none_or_elsewhere_is_named(gate: Gate, near: str) -> None:
    refused(gate.get(f"/v1/attractions?near={near}"), 422, "invalid-request", "near")


def test_a_level_is_shown_only_where_it_has_a_source(gate: Gate) -> None:
    levels = {
        item["id"]: item.get("level")
        for item in json_of(gate.get("/v1/attractions?limit=100"))["items"]
    }
    assert levels["mingsha"] == "5A"
    assert levels["yeliguan"] is levels["mogao"] is levels["zhongshan"] is None
    assert "note" not in json_of(gate.get("/v1/attractions/mogao"))


# Opening


def test_a_pattern_opened_twice_opens_nothing_new(gate: Gate) -> None:
    body = pattern_of("2026-03-02", (480, 540, 5), last="2026-03-08") | {"weekdays": [1, 3]}
    opened = {"product_id": "ticket", "opened": 2, "kept": 0}
    assert made(gate.post(OPEN, body, by="scenic-1", key="open")) == opened
    assert made(gate.post(OPEN, body, by="scenic-1", key="open")) == opened
    again = made(gate.post(OPEN, body | {"weekdays": [1, 2, 3]}, by="scenic-1"))
    assert (again["opened"], again["kept"]) == (1, 2)


BAD_PATTERNS: dict[str, tuple[Json, str]] = {
    "past": ({"first_day": "2025-12-31"}, "first_day"),
    "no day": ({"first_day": "2026-02-30"}, "first_day"),
    "backwards": ({"last_day": "2026-01-04"}, "last_day"),
    "too long": ({"last_day": "2026-12-31"}, "last_day"),
    "no weekday": ({"weekdays": []}, "weekdays"),
    "a weekday on none of its days": ({"weekdays": [2, 7]}, "weekdays"),
    "an eighth weekday": ({"weekdays": [8]}, "weekdays.0"),
    "no window": ({"windows": []}, "windows"),
    "a window that ends first": (
        {"windows": [{"start": "10:00", "end": "09:00", "capacity": 1}]},
        "windows",
    ),
    "two at once": (
        {"windows": [{"start": "10:00", "end": "11:00", "capacity": 1}] * 2},
        "windows",
    ),
    "no time": (
        {"windows": [{"start": "24:00", "end": "25:00", "capacity": 1}]},
        "windows.0.start",
    ),
    "too many": (
        {
            "last_day": "2026-02-20",
            "windows": [
                {"start": f"{hour:02d}:00", "end": "23:00", "capacity": 1} for hour in range(8, 20)
            ],
        },
        "windows",
    ),
}


@pytest.mark.parametrize(("change", "field"), BAD_PATTERNS.values(), ids=BAD_PATTERNS.keys())
def test_a_bad_pattern_names_its_field(gate: Gate, change: Json, field: str) -> None:
    body = pattern_of("2026-01-05", (480, 540, 5)) | change
    fields = [field, "windows.0.end"] if field == "windows.0.start" else [field]
    refused(gate.post(OPEN, body, by="scenic-1"), 422, "invalid-request", *fields)


# Capacity


def change(gate: Gate, session: str, capacity: int, etag: str | None = None) -> Any:
    path = f"/v1/sessions/{session}/capacity"
    if etag is None:
        etag = gate.get(path, by="scenic-1").headers["ETag"]
    body, headers = {"capacity": capacity}, {"If-Match": etag}
    return gate.ask("PUT", path, body, by="scenic-1", headers=headers)


def test_a_cap_goes_no_lower_than_what_is_taken_and_says_so(gate: Gate) -> None:
    session = gate.open_session(10)
    gate.confirmed(session, 3)
    made(gate.hold(session, 1))
    etag = gate.get(f"/v1/sessions/{session}/capacity", by="scenic-1").headers["ETag"]
    answer = change(gate, session, 2, etag)
    assert CapacitySchema().validate(json_of(answer)) == {}
    assert json_of(answer) == {
        "session_id": session,
        "requested": 2,
        "effective": 4,
        "taken": 4,
        "outcome": "taken_places_kept",
    }
    refused(gate.hold(session), 409, "no-places-left")
    refused(change(gate, session, 9, etag), 412, "stale")
    raised = json_of(change(gate, session, 6))
    assert (raised["effective"], raised["outcome"]) == (6, "as_requested")
    made(gate.hold(session, 2))


def test_places_that_come_back_are_not_sold_above_what_was_asked(gate: Gate) -> None:
    session = gate.open_session(10)
    gate.confirmed(session, 3)
    held = made(gate.hold(session, 5))
    etag = gate.get(f"/v1/sessions/{session}/capacity", by="scenic-1").headers["ETag"]
    change(gate, session, 4, etag)
    made(gate.act(held, "cancellation"))
    seen = gate.get(f"/v1/sessions/{session}/capacity", by="scenic-1")
    shown = [json_of(seen)[name] for name in ("requested", "effective", "taken", "outcome")]
    assert shown == [4, 4, 3, "as_requested"]
    assert refused(gate.hold(session, 2), 409, "no-places-left")["available"] == 1
    made(gate.hold(session, 1))


def test_holds_that_expired_are_not_sold_again_above_what_was_asked(fresh_gate: Gate) -> None:
    gate = fresh_gate
    number = RELEASED_MAX + 5
    session = gate.open_session(number)
    for place in range(number):
        made(gate.hold(session, by=f"citizen-{place // HOLDS_MAX}"))
    gate.clock.pass_wall(seconds=15 * 60)
    assert json_of(change(gate, session, 0))["effective"] == 5
    refused(gate.hold(session, by="citizen-90"), 409, "no-places-left")
    gate.tidy()
    row = gate.counts(session)
    assert [row[name] for name in ("capacity", "available", "held")] == [0, 0, 0]


def test_nobody_is_refused_a_lowered_place_for_the_many_holds_that_expired(
    fresh_gate: Gate,
) -> None:
    gate = fresh_gate
    number = 2 * RELEASED_MAX + 5
    session = gate.open_session(number)
    for place in range(number):
        made(gate.hold(session, by=f"citizen-{place // HOLDS_MAX}"))
    change(gate, session, 3)
    gate.clock.pass_wall(seconds=15 * 60)
    made(gate.hold(session, 3, by="citizen-90"))
    refused(gate.hold(session, by="citizen-91"), 409, "no-places-left")
    row = gate.counts(session)
    assert [row[name] for name in ("capacity", "available", "held")] == [3, 0, 3]


def test_bookings_do_not_make_a_cap_stale(gate: Gate) -> None:
    session = gate.open_session(10)
    etag = gate.get(f"/v1/sessions/{session}/capacity", by="scenic-1").headers["ETag"]
    gate.confirmed(session, 3)
    assert change(gate, session, 5, etag).status_code == 200


def test_a_cap_change_lets_expired_holds_go(gate: Gate) -> None:
    session = gate.open_session(10)
    made(gate.hold(session, 5))
    gate.clock.pass_wall(seconds=15 * 60)
    assert json_of(change(gate, session, 1))["taken"] == 0


# Closing


def test_a_closed_session_cancels_every_booking(gate: Gate) -> None:
    number = CALLED_OFF_MAX + 5
    session = gate.open_session(number)
    people = [f"citizen-{100 + place // HOLDS_MAX}" for place in range(number - 1)]
    booked = [made(gate.hold(session, by=person)) for person in people]
    sold = gate.confirmed(session)
    closed = gate.post(f"/v1/sessions/{session}/closure", by="scenic-1", key="close")
    assert made(closed)["state"] == "closed"
    of_whom = ((booked[0], people[0]), (booked[-1], people[-1]), (sold, "citizen-1"))
    for booking, person in of_whom:
        seen = json_of(gate.get(f"/v1/bookings/{booking['id']}", by=person))
        assert seen["state"] == "cancelled"
    row = gate.counts(session)
    assert [row[name] for name in ("held", "sold", "available")] == [0, 0, 0]
    refused(gate.hold(session), 409, "session-closed")
    refused(gate.act(booked[0], "confirmation", by=people[0]), 409, "not-held")
    refused(change(gate, session, 5), 409, "session-closed")
    refused(gate.post(f"/v1/sessions/{session}/closure", by="scenic-1"), 409, "session-closed")
    assert made(gate.post(f"/v1/sessions/{session}/closure", by="scenic-1", key="close"))


def half_closed(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> tuple[str, list[Json]]:
    """A session whose closure was stopped once the session itself was closed, and its bookings."""
    session = gate.open_session(CALLED_OFF_MAX + 5)
    booked = [gate.confirmed(session, by=f"citizen-{n}") for n in range(CALLED_OFF_MAX + 1)]

    def away(*_: object) -> None:
        raise Refused(BUSY, retry_after_seconds=1)

    with monkeypatch.context() as patch:
        patch.setattr(closing, "_call_off_all", away)
        refused(gate.post(f"/v1/sessions/{session}/closure", by="scenic-1"), 503, "busy")
    return session, booked


def states(gate: Gate, booked: list[Json]) -> set[str]:
    paths = [f"/v1/bookings/{booking['id']}" for booking in booked]
    seen = [json_of(gate.get(path, by=f"citizen-{n}")) for n, path in enumerate(paths)]
    return {booking["state"] for booking in seen}


def test_a_closure_that_was_cut_short_is_finished_by_who_asks_again(
    fresh_gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = fresh_gate
    session, booked = half_closed(gate, monkeypatch)
    assert states(gate, booked) == {"confirmed"}
    again = gate.post(f"/v1/sessions/{session}/closure", by="scenic-1", key="another")
    refused(again, 409, "session-closed")
    assert states(gate, booked) == {"cancelled"}
    assert not gate.is_untidy()


def test_a_closure_that_was_cut_short_is_finished_where_nobody_asks_again(
    fresh_gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = fresh_gate
    _, booked = half_closed(gate, monkeypatch)
    gate.tidy()
    assert gate.is_untidy()
    gate.tidy()
    assert states(gate, booked) == {"cancelled"}
    assert not gate.is_untidy()


def test_who_lost_a_ticket_books_anew_though_the_closure_is_not_finished(
    fresh_gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = fresh_gate
    session, booked = half_closed(gate, monkeypatch)
    other = gate.open_session()
    again = {"session_id": other, "visitors": [visitor(1), visitor(2)]}
    made(gate.post("/v1/bookings", again, by="citizen-0"))
    assert states(gate, booked[:2]) == {"cancelled"}
    assert states(gate, booked) == {"cancelled", "confirmed"}
    assert gate.counts(session)["sold"] == len(booked) - 2
    refused(
        gate.post("/v1/bookings", again, by="citizen-0"),
        409,
        "has-ticket-already",
        "visitors.0.document",
    )
    gate.tidy()
    assert states(gate, booked) == {"cancelled"}
    told = [data["booking"] for kind, data in gate.journal()[1] if kind == "booking.cancelled"]
    assert sorted(told) == sorted(booking["id"] for booking in booked)
    row = gate.counts(session)
    assert [row[name] for name in ("held", "sold", "admitted")] == [0, 0, 0]


def test_a_session_that_is_over_cannot_be_closed(gate: Gate) -> None:
    session = gate.open_session()
    booking = gate.confirmed(session)
    gate.to_start(session)
    gate.clock.pass_wall(hours=2)
    refused(gate.post(f"/v1/sessions/{session}/closure", by="scenic-1"), 409, "session-over")
    seen = json_of(gate.get(f"/v1/bookings/{booking['id']}", by="citizen-1"))
    assert seen["state"] == "confirmed"


def test_who_has_come_in_counts_on_when_the_session_is_closed(fresh_gate: Gate) -> None:
    gate = fresh_gate
    session, later = gate.open_session(DAILY_MAX), gate.open_session(DAILY_MAX, hours=4)
    inside = [gate.confirmed(session, 5, by=f"citizen-{n}") for n in range(DAILY_MAX // 5)]
    gate.to_start(later)
    for booking in inside:
        for ticket in booking["tickets"]:
            made(gate.admit(ticket["id"]))

    made(gate.post(f"/v1/sessions/{session}/closure", by="scenic-1"))

    refused(gate.hold(later, by="citizen-90"), 409, "day-full")
    seen = json_of(gate.get(f"/v1/bookings/{inside[0]['id']}", by="citizen-0"))
    assert seen["state"] == "confirmed"
    assert {ticket["state"] for ticket in seen["tickets"]} == {"used"}
    row = gate.counts(session)
    assert [row[name] for name in ("sold", "admitted")] == [DAILY_MAX, DAILY_MAX]


def test_tickets_that_a_closure_leaves_unused_are_void_and_their_places_free(
    fresh_gate: Gate,
) -> None:
    gate = fresh_gate
    session, later = gate.open_session(), gate.open_session(hours=4)
    body = {"session_id": session, "visitors": [visitor(1), visitor(2)]}
    booking = made(gate.post("/v1/bookings", body, by="citizen-1"))
    used, unused = (ticket["id"] for ticket in booking["tickets"])
    made(gate.act(booking, "confirmation"))
    gate.to_start(later)
    made(gate.admit(used))

    made(gate.post(f"/v1/sessions/{session}/closure", by="scenic-1"))

    seen = json_of(gate.get(f"/v1/bookings/{booking['id']}", by="citizen-1"))
    states = [ticket["state"] for ticket in seen["tickets"]]
    assert (seen["state"], states) == ("confirmed", ["used", "void"])
    refused(gate.admit(unused), 409, "ticket-not-valid")
    refused(gate.act(booking, "cancellation"), 409, "not-refundable")
    gate.clock.pass_monotonic(2)
    crowd = json_of(gate.get("/v1/attractions/mogao/crowd"))
    assert (crowd["booked"], crowd["admitted"]) == (1, 1)
    again = gate.post("/v1/bookings", body | {"session_id": later}, by="citizen-1")
    refused(again, 409, "has-ticket-already", "visitors.0.document")
    body = {"session_id": later, "visitors": [visitor(2)]}
    made(gate.post("/v1/bookings", body, by="citizen-1"))


# Whose it is


def test_staff_act_on_their_own_attraction_only(gate: Gate) -> None:
    session = gate.open_session()
    day = gate.tomorrow
    path = f"/v1/sessions/{session}"
    etag = gate.get(f"{path}/capacity", by="scenic-1").headers["ETag"]
    for answer in (
        gate.post(OPEN, pattern_of(day, (480, 540, 5)), by="scenic-2"),
        gate.get(f"{path}/capacity", by="scenic-2"),
        gate.ask(
            "PUT", f"{path}/capacity", {"capacity": 1}, by="scenic-2", headers={"If-Match": etag}
        ),
        gate.post(f"{path}/closure", by="scenic-2"),
        gate.get(f"/v1/attractions/mogao/sessions?day={day}", by="scenic-2"),
        gate.get(f"/v1/attractions/danxia/sessions?day={day}", by="scenic-1"),
        gate.get(f"/v1/attractions/yulin/sessions?day={day}", by="operator-1"),
    ):
        refused(answer, 404, "not-found")
    listed = gate.get(f"/v1/attractions/mogao/sessions?day={day}", by="operator-1")
    assert OwnSessionsSchema().validate(json_of(listed)) == {}
    assert change(gate, session, 8).status_code == 200


def test_who_keeps_a_gate_does_nothing_else_here_whatever_they_do_elsewhere(gate: Gate) -> None:
    session = gate.open_session()
    ticket = gate.confirmed(session)["tickets"][0]["id"]
    both = gate.issuer.token("gate-1", roles=["gate", "scenic_staff"])
    etag = gate.get(f"/v1/sessions/{session}/capacity", by="scenic-1").headers["ETag"]
    for method, path, body in (
        ("GET", f"/v1/attractions/mogao/sessions?day={gate.tomorrow}", None),
        ("POST", OPEN, pattern_of(gate.tomorrow, (480, 540, 5))),
        ("GET", f"/v1/sessions/{session}/capacity", None),
        ("PUT", f"/v1/sessions/{session}/capacity", {"capacity": 1}),
        ("POST", f"/v1/sessions/{session}/closure", None),
    ):
        answer = gate.ask(method, path, body, token=both, headers={"If-Match": etag})
        refused(answer, 404, "not-found")
    gate.to_start(session)
    made(gate.admit(ticket, by="", token=gate.issuer.token("gate-1", roles=["gate"])))


# Crowds


def test_the_crowd_level_follows_who_came_in(fresh_gate: Gate) -> None:
    gate = fresh_gate
    session = gate.open_session(DAILY_MAX)
    tickets = [
        ticket["id"]
        for _ in range(DAILY_MAX // 5)
        for ticket in gate.confirmed(session, 5)["tickets"]
    ]
    gate.to_start(session)
    levels = {}
    for number, ticket in enumerate(tickets, 1):
        made(gate.admit(ticket))
        if number in {1, 79, 80, 89, 90, 94, 95, 99, 100}:
            gate.clock.pass_monotonic(2)
            crowd = json_of(gate.get("/v1/attractions/mogao/crowd"))
            assert CrowdSchema().validate(crowd) == {}
            assert crowd["admitted"] == number
            levels[number] = crowd["level"]
    assert levels == {
        1: "green",
        79: "green",
        80: "yellow",
        89: "yellow",
        90: "orange",
        94: "orange",
        95: "red",
        99: "red",
        100: "full",
    }
    empty = json_of(gate.get("/v1/attractions/yulin/crowd"))
    assert "level" not in empty
    assert "daily_max" not in empty
