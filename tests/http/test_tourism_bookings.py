"""Holding, confirming, giving back and using tickets."""

import pytest

from services.tourism.domain import HOLDS_MAX
from services.tourism.schemas.tickets import AdmittedSchema, BookingSchema
from shared.auth.subjects import service_subject
from tests.support.gate import DAILY_MAX, Gate, visitor
from tests.support.served import Json, json_of, made, refused
from tests.support.tokens import SUBJECT_KEY


def counts(gate: Gate, session: str) -> list[int]:
    row = gate.counts(session)
    return [row[name] for name in ("capacity", "available", "held", "sold", "admitted")]


# Holding and confirming


def test_a_booking_is_held_then_confirmed_then_given_back(gate: Gate) -> None:
    session = gate.open_session(10)
    answer = gate.hold(session, 3)
    held = made(answer)
    assert BookingSchema().validate(held) == {}
    assert answer.headers["Location"] == f"/tourism/v1/bookings/{held['id']}"
    assert (held["state"], held["total"]["amount"]) == ("held", 30_000)
    assert held["held_until"] > held["placed_at"]
    assert {ticket["state"] for ticket in held["tickets"]} == {"waiting"}
    assert counts(gate, session) == [10, 7, 3, 0, 0]
    confirmed = made(gate.act(held, "confirmation"))
    assert confirmed["state"] == "confirmed"
    assert "held_until" not in confirmed
    assert counts(gate, session) == [10, 7, 0, 3, 0]
    assert json_of(gate.get(f"/v1/bookings/{held['id']}", by="citizen-1")) == confirmed
    assert made(gate.act(held, "cancellation"))["state"] == "cancelled"
    assert counts(gate, session) == [10, 10, 0, 0, 0]
    refused(gate.act(held, "cancellation"), 409, "not-refundable")
    refused(gate.act(held, "confirmation"), 409, "not-held")


def test_what_is_not_left_is_refused_and_takes_nothing(gate: Gate) -> None:
    session = gate.open_session(3)
    made(gate.hold(session, 2))
    assert refused(gate.hold(session, 2), 409, "no-places-left")["available"] == 1
    assert counts(gate, session) == [3, 1, 2, 0, 0]
    made(gate.hold(session, 1))


def test_a_hold_expires_and_is_free_for_the_next(gate: Gate) -> None:
    session = gate.open_session(2)
    mine = made(gate.hold(session, 2))
    gate.clock.pass_wall(seconds=15 * 60 - 1)
    refused(gate.hold(session), 409, "no-places-left")
    gate.clock.pass_wall(seconds=1)
    shown = json_of(gate.get(f"/v1/bookings/{mine['id']}", by="citizen-1"))
    assert (shown["state"], shown["tickets"][0]["state"]) == ("expired", "void")
    refused(gate.act(mine, "confirmation"), 409, "hold-expired")
    made(gate.hold(session, 2, by="citizen-2"))
    assert counts(gate, session) == [2, 0, 2, 0, 0]
    refused(gate.act(mine, "confirmation"), 409, "hold-expired")
    assert json_of(gate.get(f"/v1/bookings/{mine['id']}", by="citizen-1"))["state"] == "expired"


def test_a_session_that_looks_full_does_not_stay_so(fresh_gate: Gate) -> None:
    gate = fresh_gate
    session = gate.open_session(2)
    mine = made(gate.hold(session, 2))
    gate.clock.pass_wall(seconds=15 * 60 - 1)
    assert not gate.is_untidy()
    gate.clock.pass_wall(seconds=1)
    assert gate.is_untidy()
    gate.tidy()

    assert not gate.is_untidy()
    assert json_of(gate.get(f"/v1/sessions/{session}"))["available"] == 2
    shown = json_of(gate.get(f"/v1/bookings/{mine['id']}", by="citizen-1"))
    assert shown["state"] == "expired"


def test_an_expired_hold_elsewhere_does_not_keep_its_visitor(gate: Gate) -> None:
    one, other = gate.open_session(), gate.open_session()
    body = {"session_id": one, "visitors": [visitor(9001), visitor(9002)]}
    made(gate.post("/v1/bookings", body, by="citizen-1"))
    body["session_id"] = other
    answer = gate.post("/v1/bookings", body, by="citizen-1")
    refused(answer, 409, "has-ticket-already", "visitors.0.document")
    gate.clock.pass_wall(seconds=15 * 60)
    made(gate.post("/v1/bookings", body, by="citizen-1"))
    assert counts(gate, one) == [10, 10, 0, 0, 0]
    assert counts(gate, other) == [10, 8, 2, 0, 0]


def test_one_ticket_for_each_person_attraction_and_day(gate: Gate) -> None:
    session, later = gate.open_session(), gate.open_session(day="2026-01-20")
    body = {"session_id": session, "visitors": [*gate.visitors(1), visitor(77)]}
    first = made(gate.post("/v1/bookings", body, by="citizen-1"))
    made(gate.act(first, "confirmation"))
    again = {"session_id": session, "visitors": [*gate.visitors(2), visitor(77)]}
    answer = gate.post("/v1/bookings", again, by="citizen-2")
    refused(answer, 409, "has-ticket-already", "visitors.2.document")
    made(gate.post("/v1/bookings", {**again, "session_id": later}, by="citizen-2"))
    made(gate.act(first, "cancellation"))
    made(gate.post("/v1/bookings", again, by="citizen-2"))


def test_a_visitor_stands_once_in_a_booking(gate: Gate) -> None:
    body = {"session_id": gate.open_session(), "visitors": [visitor(5), visitor(6), visitor(5)]}
    answer = gate.post("/v1/bookings", body, by="citizen-1")
    refused(answer, 422, "invalid-request", "visitors.2.document")


def test_the_sale_opens_thirty_days_ahead_and_ends_with_the_session(gate: Gate) -> None:
    far = gate.open_session(day="2026-02-03")
    problem = refused(gate.hold(far), 409, "not-on-sale-yet")
    assert problem["on_sale_at"] == "2026-01-03T16:00:00.000Z"
    near = gate.open_session()
    gate.to_start(near)
    made(gate.hold(near))
    gate.clock.pass_wall(hours=2)
    refused(gate.hold(near), 409, "session-over")
    refused(gate.hold("ticket.nothing"), 409, "no-such-session")


def test_a_hold_ends_with_its_session(gate: Gate) -> None:
    session = gate.open_session()
    gate.to_start(session)
    gate.clock.pass_wall(hours=2, seconds=-60)
    held = made(gate.hold(session))
    ends_at = json_of(gate.get(f"/v1/sessions/{session}"))["ends_at"]
    assert held["held_until"] == ends_at
    gate.clock.pass_wall(seconds=60)
    problem = refused(gate.act(held, "confirmation"), 409, "session-over")
    assert problem["ended_at"] == ends_at


def test_an_attraction_takes_no_more_than_its_day_may(fresh_gate: Gate) -> None:
    gate = fresh_gate
    session = gate.open_session(2 * DAILY_MAX)
    for number in range(DAILY_MAX // 5):
        made(gate.hold(session, 5, by=f"citizen-{number}"))
    assert refused(gate.hold(session), 409, "day-full")["available"] == 0
    assert counts(gate, session) == [2 * DAILY_MAX, 0, DAILY_MAX, 0, 0]


def test_holds_that_expired_in_another_session_do_not_fill_the_day(fresh_gate: Gate) -> None:
    gate = fresh_gate
    one, other = gate.open_session(DAILY_MAX), gate.open_session(DAILY_MAX)
    for number in range(DAILY_MAX // 5):
        made(gate.hold(one, 5, by=f"citizen-{number}"))
    refused(gate.hold(other), 409, "day-full")
    gate.clock.pass_wall(seconds=15 * 60)
    made(gate.hold(other))


def test_one_account_holds_so_many_bookings_at_once(fresh_gate: Gate) -> None:
    gate = fresh_gate
    session = gate.open_session(50)
    held = [made(gate.hold(session)) for _ in range(HOLDS_MAX)]
    problem = refused(gate.hold(session), 409, "too-many-holds")
    assert problem["next_free_at"] == held[0]["held_until"]
    refused(gate.hold(session, by="", token=gate.acting("citizen-1")), 409, "too-many-holds")
    made(gate.hold(session, by="citizen-2"))
    made(gate.act(held[0], "confirmation"))
    made(gate.hold(session))
    refused(gate.hold(session), 409, "too-many-holds")
    made(gate.act(held[1], "cancellation"))
    made(gate.hold(session))


def test_holds_that_expired_are_not_counted(fresh_gate: Gate) -> None:
    gate = fresh_gate
    session = gate.open_session(50)
    for _ in range(HOLDS_MAX):
        made(gate.hold(session))
    gate.clock.pass_wall(seconds=15 * 60 - 1)
    refused(gate.hold(session), 409, "too-many-holds")
    gate.clock.pass_wall(seconds=1)
    made(gate.hold(session))


# Reading


def test_a_citizen_sees_the_own_bookings_newest_first_and_nobody_elses(gate: Gate) -> None:
    session = gate.open_session()
    mine = []
    for _ in range(3):
        gate.clock.pass_wall(seconds=1)
        mine.append(made(gate.hold(session, by="citizen-7")))
    first = json_of(gate.get("/v1/bookings?limit=2", by="citizen-7"))
    rest = json_of(gate.get(f"/v1/bookings?limit=2&after={first['after']}", by="citizen-7"))
    assert first["items"] + rest["items"] == mine[::-1]
    assert rest["after"] is None
    refused(gate.get(f"/v1/bookings/{mine[0]['id']}", by="citizen-8"), 404, "not-found")
    for what in ("confirmation", "cancellation"):
        refused(gate.act(mine[0], what, by="citizen-8"), 404, "not-found")


# At the gate


def test_a_ticket_lets_its_visitor_in_once(gate: Gate) -> None:
    session = gate.open_session()
    body = {"session_id": session, "visitors": [visitor(501), visitor(502)]}
    booking = made(gate.post("/v1/bookings", body, by="citizen-1"))
    ticket = booking["tickets"][0]["id"]
    refused(gate.admit(ticket), 409, "ticket-not-valid")
    booking = made(gate.act(booking, "confirmation"))
    gate.to_start(session)
    refused(gate.admit(ticket, {"document": visitor(502)["document"]}), 409, "another-visitor")
    answer = gate.admit(ticket, {"document": visitor(501)["document"]}, key="in")
    admitted = made(answer)
    assert AdmittedSchema().validate(admitted) == {}
    gate.clock.pass_wall(seconds=60)
    assert made(gate.admit(ticket, {"document": visitor(501)["document"]}, key="in")) == admitted
    problem = refused(gate.admit(ticket, by="scenic-1"), 409, "ticket-used")
    assert problem["admitted_at"] == admitted["admitted_at"]
    assert counts(gate, session) == [10, 8, 0, 2, 1]
    refused(gate.act(booking, "cancellation"), 409, "not-refundable")
    made(gate.admit(booking["tickets"][1]["id"], by="operator-1"))


def test_a_ticket_is_good_in_its_window_only(gate: Gate) -> None:
    session = gate.open_session(hours=2)
    ticket = gate.confirmed(session)["tickets"][0]["id"]
    problem = refused(gate.admit(ticket), 409, "outside-entry-window")
    assert problem["until"] > problem["from"]
    gate.to_start(session)
    gate.clock.pass_wall(hours=2)
    refused(gate.admit(ticket), 409, "outside-entry-window")


@pytest.mark.parametrize("by", ["gate-2", "scenic-2"])
def test_who_works_elsewhere_finds_no_ticket(gate: Gate, by: str) -> None:
    session = gate.open_session()
    ticket = gate.confirmed(session)["tickets"][0]["id"]
    gate.to_start(session)
    for wrong in (ticket, ticket[:-1] + "4", ticket[:-1] + "9", ticket[:-2], "nothing"):
        refused(gate.admit(wrong, by=by), 404, "not-found")
    refused(gate.admit(ticket[:-1] + "1"), 404, "not-found")


# Events


def test_events_name_subjects_and_nobody(fresh_gate: Gate) -> None:
    gate = fresh_gate
    session = gate.open_session()
    kept, given_back = gate.confirmed(session), gate.confirmed(session, by="citizen-2")
    made(gate.act(given_back, "cancellation", by="citizen-2"))
    made(gate.post(f"/v1/sessions/{session}/closure", by="scenic-1"))
    people = ("citizen-1", "citizen-2", "scenic-1")
    one, two, staff = (service_subject(account, SUBJECT_KEY) for account in people)

    def about(booking: Json, citizen: str) -> Json:
        return {"booking": booking["id"], "citizen": citizen, "session": session}

    assert gate.journal()[1] == [
        ("booking.confirmed", about(kept, one)),
        ("booking.confirmed", about(given_back, two)),
        ("booking.cancelled", about(given_back, two)),
        ("session.cancelled", {"session": session, "by": staff}),
        ("booking.cancelled", about(kept, one)),
    ]


# Once


def test_every_post_is_taken_once(gate: Gate) -> None:
    session = gate.open_session()
    body = {"session_id": session, "visitors": [visitor(881)]}
    held = gate.post("/v1/bookings", body, by="citizen-1", key="h")
    booking = made(held)
    made(gate.act(booking, "confirmation", key="c"))
    again = gate.post("/v1/bookings", body, by="citizen-1", key="h")
    assert made(again) == booking
    assert again.headers["ETag"] == held.headers["ETag"]
    gate.clock.pass_wall(hours=1)
    assert made(gate.post("/v1/bookings", body, by="citizen-1", key="h")) == booking
    confirmed = made(gate.act(booking, "confirmation", key="c"))
    assert confirmed["state"] == "confirmed"
    body["visitors"] = [visitor(882)]
    answer = gate.post("/v1/bookings", body, by="citizen-1", key="h")
    refused(answer, 422, "idempotency-key-reused")
    assert counts(gate, session) == [10, 9, 0, 1, 0]
