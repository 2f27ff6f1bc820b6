"""Appointments over HTTP: booked, read, cancelled, checked in, missed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.health.domain import TO_COME_MAX
from services.health.schemas.appointments import AppointmentSchema, StaffAppointmentSchema
from tests.support.clinic import DUNHUANG, LZU, Clinic
from tests.support.served import Json, json_of, made, refused


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    with Clinic(tmp_path) as clinic:
        clinic.open_desks()
        yield clinic


def to_monday(clinic: Clinic, hours: float = 0) -> None:
    """Let it be midnight before Monday in Gansu, and so many hours more."""
    clinic.clock.wall_ms = 1_767_225_600_000
    clinic.clock.pass_wall(hours=4 * 24 - 8 + hours)


# Booking


def test_a_booked_appointment_takes_one_place_and_can_be_read(clinic: Clinic) -> None:
    session = clinic.session()
    answer = clinic.book(session, 1)
    appointment = made(answer)
    assert AppointmentSchema().validate(appointment) == {}
    assert appointment["state"] == "booked"
    assert appointment["starts_at"] == "2026-01-05T00:30:00.000Z"
    assert appointment["ends_at"] == "2026-01-05T01:00:00.000Z"
    assert appointment["cancel_until"] == "2026-01-04T00:30:00.000Z"
    assert appointment["date"] == "2026-01-05"
    assert clinic.free(session) == [3, 2, 3, 3]
    path = answer.headers["Location"].removeprefix("/health")
    assert json_of(clinic.get(path, by="citizen-1")) == appointment


def test_one_intent_is_one_booking(clinic: Clinic) -> None:
    session = clinic.session()
    first = made(clinic.book(session, key="once"))
    made(clinic.cancel(first))
    assert made(clinic.book(session, key="once")) == first
    assert clinic.free(session) == [3, 3, 3, 3]
    refused(clinic.book(session, 1, key="once"), 422, "idempotency-key-reused")


def test_one_account_books_so_many_appointments_ahead(clinic: Clinic) -> None:
    """Those that are over are not counted, whether the desk settled them or not."""
    people = [clinic.session(release_days=30) for _ in range(2)]
    week = [clinic.session(**day(number)) for number in range(1, TO_COME_MAX)]
    booked = [made(clinic.book(session)) for session in [people[0], *week]]
    refused(clinic.book(clinic.session(**day(25))), 409, "too-many-appointments")
    token = clinic.acting("citizen-1", kind="guardian")
    refused(clinic.book(clinic.session(**day(25)), token=token), 409, "too-many-appointments")
    made(clinic.book(people[1], by="citizen-2"))
    made(clinic.cancel(booked[-1]))
    made(clinic.book(week[-1]))
    refused(clinic.book(clinic.session(**day(25))), 409, "too-many-appointments")
    to_monday(clinic, hours=8.5)
    made(clinic.book(clinic.session(**day(25))))


def day(number: int) -> dict[str, Any]:
    """So many days after Monday; booking has opened."""
    date = f"2026-01-{5 + number:02d}"
    return {"first": date, "last": date, "weekdays": [1, 2, 3, 4, 5, 6, 7], "release_days": 30}


def test_the_last_place_is_given_once(clinic: Clinic) -> None:
    session = clinic.session(places=1)
    made(clinic.book(session, by="citizen-1"))
    refused(clinic.book(session, by="citizen-2"), 409, "fully-booked")
    assert clinic.free(session) == [0, 1, 1, 1]


def test_nobody_books_before_the_release(clinic: Clinic) -> None:
    session = clinic.session(release_days=1, release_time="07:00")
    problem = refused(clinic.book(session), 409, "not-open-yet")
    assert problem["opens_at"] == session["opens_at"] == "2026-01-03T23:00:00.000Z"
    to_monday(clinic, hours=-24 + 7 - 1 / 3600)
    refused(clinic.book(session), 409, "not-open-yet")
    clinic.clock.pass_wall(seconds=1)
    made(clinic.book(session))


def test_what_has_begun_is_not_booked(clinic: Clinic) -> None:
    session = clinic.session()
    to_monday(clinic, hours=8)
    refused(clinic.book(session, 0), 409, "slot-past")
    made(clinic.book(session, 1))


def test_a_slot_that_is_not_there_is_gone(clinic: Clinic) -> None:
    session = clinic.session()
    body = {"session_id": session["id"], "starts_at": "2026-01-05T00:15:00.000Z"}
    refused(clinic.post("/v1/appointments", body, by="citizen-1"), 409, "slot-gone")
    body["session_id"] = "nothing"
    refused(clinic.post("/v1/appointments", body, by="citizen-1"), 409, "slot-gone")
    body["starts_at"] = "2026-02-30T00:15:00.000Z"
    answer = clinic.post("/v1/appointments", body, by="citizen-1")
    refused(answer, 422, "invalid-request", "starts_at")


# One person


def test_one_department_sees_a_person_once_a_day(clinic: Clinic) -> None:
    department = clinic.department()
    session = clinic.session(clinic.doctor(department))
    other = clinic.session(clinic.doctor(department), start="14:00", end="15:00")
    first = clinic.booked(session)
    for again in (clinic.book(session, 2), clinic.book(other)):
        assert refused(again, 409, "booked-already")["appointment_id"] == first["id"]
    made(clinic.cancel(first))
    made(clinic.book(other))


def test_nobody_is_in_two_hospitals_at_once(clinic: Clinic) -> None:
    here = clinic.session(slot_minutes=60)
    there = clinic.session(hospital=DUNHUANG, start="08:30", end="09:30")
    first = clinic.booked(here, 0)
    problem = refused(clinic.book(there, 0), 409, "time-taken")
    assert problem["appointment_id"] == first["id"]
    made(clinic.book(there, 1))
    made(clinic.book(there, 0, by="citizen-2"))


# Whose


def test_another_citizens_appointment_is_not_there(clinic: Clinic) -> None:
    session = clinic.session()
    mine = [clinic.booked(session)]
    mine.append(clinic.booked(clinic.session(start="14:00", end="15:00")))
    other = clinic.booked(session, by="citizen-2")
    path = f"/v1/appointments/{other['id']}"
    refused(clinic.get(path, by="citizen-1"), 404, "not-found")
    refused(clinic.cancel(other, by="citizen-1"), 404, "not-found")
    assert json_of(clinic.get("/v1/appointments", by="citizen-1"))["items"] == mine[::-1]
    page = json_of(clinic.get("/v1/appointments?limit=1", by="citizen-1"))
    assert page["items"] == mine[1:]
    rest = json_of(clinic.get(f"/v1/appointments?after={page['after']}", by="citizen-1"))
    assert rest == {"items": mine[:1], "after": None}


def test_staff_see_their_own_hospital_and_nothing_of_the_patient(clinic: Clinic) -> None:
    session = clinic.session()
    appointment = clinic.booked(session, 2)
    path = f"/v1/sessions/{session['id']}/appointments"
    seen = json_of(clinic.get(path, by="hospital-1"))["items"]
    assert [StaffAppointmentSchema().validate(item) for item in seen] == [{}]
    one = f"/v1/hospitals/{LZU}/appointments/{appointment['id']}"
    assert json_of(clinic.get(one, by="clinician-1")) == seen[0]
    assert "sub_" not in str(seen)
    refused(clinic.get(path, by="hospital-2"), 404, "not-found")
    refused(clinic.get(one, by="hospital-2"), 404, "not-found")
    elsewhere = one.replace(LZU, DUNHUANG)
    refused(clinic.get(elsewhere, by="hospital-2"), 404, "not-found")
    for what in ("check-in", "no-show"):
        answer = clinic.at_desk(what, appointment, by="hospital-2", hospital=DUNHUANG)
        refused(answer, 404, "not-found")


def test_staff_choose_the_state_of_the_appointments_that_they_see(clinic: Clinic) -> None:
    session = clinic.session()
    waiting, gone = clinic.booked(session), clinic.booked(session, by="citizen-2")
    made(clinic.cancel(gone, by="citizen-2"))
    path = f"/v1/sessions/{session['id']}/appointments"
    for query, found in (("", waiting), ("?state=booked", waiting), ("?state=cancelled", gone)):
        seen = json_of(clinic.get(path + query, by="hospital-1"))["items"]
        assert [item["id"] for item in seen] == [found["id"]]


def test_whoever_left_a_desk_is_nobody_there(clinic: Clinic) -> None:
    session = clinic.session()
    body = {"account": "hospital-1", "active": False}
    made(clinic.post(f"/v1/hospitals/{LZU}/staff", body, by="operator-1"))
    path = f"/v1/sessions/{session['id']}/stop"
    refused(clinic.post(path, by="hospital-1"), 404, "not-found")
    made(clinic.post(path, by="operator-1"))


# Cancelling


def test_a_cancelled_place_is_free_again_once(clinic: Clinic) -> None:
    session = clinic.session(places=1)
    appointment = clinic.booked(session)
    assert made(clinic.cancel(appointment))["state"] == "cancelled"
    assert refused(clinic.cancel(appointment), 409, "not-booked")["state"] == "cancelled"
    assert clinic.free(session) == [1, 1, 1, 1]
    made(clinic.book(session, by="citizen-2"))


def test_it_can_be_cancelled_until_the_hospitals_hours_before(clinic: Clinic) -> None:
    session = clinic.session()
    late, early = clinic.booked(session), clinic.booked(session, by="citizen-2")
    to_monday(clinic, hours=-24 + 8)
    made(clinic.cancel(early, by="citizen-2"))
    clinic.clock.pass_wall(seconds=1)
    problem = refused(clinic.cancel(late), 409, "too-late-to-cancel")
    assert problem["cancel_until"] == late["cancel_until"]


def test_the_limit_counts_under_which_it_was_booked(clinic: Clinic) -> None:
    session = clinic.session()
    appointment = clinic.booked(session)
    path = f"/v1/hospitals/{LZU}/desk"
    desk = clinic.get(path)
    limits = {"cancel_hours": 168, "no_shows_max": 1, "no_show_days": 1, "barred_days": 1}
    match = {"If-Match": desk.headers["ETag"]}
    refused(clinic.ask("PUT", path, limits, by="hospital-2", headers=match), 404, "not-found")
    changed = clinic.ask("PUT", path, limits, by="hospital-1", headers=match)
    assert json_of(changed)["cancel_hours"] == 168
    refused(clinic.ask("PUT", path, limits, by="hospital-1", headers=match), 412, "stale")
    made(clinic.cancel(appointment))
    assert clinic.booked(session)["cancel_until"] == "2025-12-29T00:00:00.000Z"


def test_a_moved_appointment_can_be_declined_until_it_begins(clinic: Clinic) -> None:
    session = clinic.session(start="16:00", end="17:00")
    early, late = clinic.booked(session), clinic.booked(session, by="citizen-2")
    to_monday(clinic, hours=-24 + 17)
    refused(clinic.cancel(early), 409, "too-late-to-cancel")
    clinic.move(session, 0, "08:00")
    shown = json_of(clinic.get(f"/v1/appointments/{early['id']}", by="citizen-1"))
    assert shown["cancel_until"] == shown["starts_at"] == "2026-01-05T00:00:00.000Z"
    to_monday(clinic, hours=8)
    made(clinic.cancel(early))
    clinic.clock.pass_wall(seconds=1)
    refused(clinic.cancel(late, by="citizen-2"), 409, "too-late-to-cancel")


@pytest.mark.parametrize(
    ("cancel_hours", "start", "until"),
    [
        (0, "08:00", "2026-01-05T08:00:00.000Z"),
        (24, "08:00", "2026-01-05T00:00:00.000Z"),
        (24, "20:00", "2026-01-05T12:00:00.000Z"),
        (24, "16:00", "2026-01-04T08:00:00.000Z"),
    ],
)
def test_a_move_takes_no_time_to_cancel_away(
    clinic: Clinic, cancel_hours: int, start: str, until: str
) -> None:
    clinic.set_limits(cancel_hours=cancel_hours)
    session = clinic.session(start="16:00", end="17:00")
    appointment = clinic.booked(session)
    clinic.move(session, 0, start)
    path = f"/v1/appointments/{appointment['id']}"
    assert json_of(clinic.get(path, by="citizen-1"))["cancel_until"] == until


def test_a_slot_that_is_moved_to_where_it_is_has_not_moved(clinic: Clinic) -> None:
    session = clinic.session()
    appointment = clinic.booked(session)
    before = [kind for kind, _ in clinic.events()]
    clinic.move(session, 0, "08:00")
    assert [kind for kind, _ in clinic.events()] == before
    path = f"/v1/appointments/{appointment['id']}"
    assert json_of(clinic.get(path, by="citizen-1")) == appointment


# The day itself


def test_a_patient_is_checked_in_exactly_once_on_the_day(clinic: Clinic) -> None:
    session = clinic.session()
    appointment = clinic.booked(session)
    for hours in (-1 / 3600, 24):
        to_monday(clinic, hours)
        problem = refused(clinic.at_desk("check-in", appointment), 409, "not-today")
        assert problem["date"] == "2026-01-05"
    to_monday(clinic, hours=7)
    seen = made(clinic.at_desk("check-in", appointment, by="clinician-1"))
    assert seen["state"] == "checked_in"
    again = refused(clinic.at_desk("check-in", appointment), 409, "not-booked")
    assert again["state"] == "checked_in"
    refused(clinic.at_desk("no-show", appointment), 409, "not-booked")
    refused(clinic.cancel(appointment), 409, "not-booked")
    assert clinic.free(session) == [2, 3, 3, 3]


def missed(clinic: Clinic, session: Json, slot: int = 0) -> None:
    appointment = clinic.booked(session, slot)
    to_monday(clinic, hours=8.5 + slot / 2 - 1 / 3600)
    problem = refused(clinic.at_desk("no-show", appointment), 409, "not-over")
    assert problem["ends_at"] == appointment["ends_at"]
    clinic.clock.pass_wall(seconds=1)
    refused(clinic.at_desk("no-show", appointment, by="clinician-1"), 403, "forbidden")
    assert made(clinic.at_desk("no-show", appointment))["state"] == "no_show"


def test_who_comes_after_all_was_not_absent(clinic: Clinic) -> None:
    """A desk that said so too early takes it back by checking the patient in, on that day."""
    clinic.set_limits(no_shows_max=1)
    session = clinic.session()
    appointment = clinic.booked(session)
    to_monday(clinic, hours=8.5)
    made(clinic.at_desk("no-show", appointment))
    refused(clinic.book(clinic.session(start="14:00", end="15:00")), 409, "barred")
    seen = made(clinic.at_desk("check-in", appointment, by="clinician-1", key="there"))
    assert seen["state"] == "checked_in"
    assert made(clinic.at_desk("check-in", appointment, by="clinician-1", key="there")) == seen
    refused(clinic.at_desk("check-in", appointment), 409, "not-booked")
    assert clinic.free(session) == [2, 3, 3, 3]
    made(clinic.book(clinic.session(start="14:00", end="15:00")))


def test_an_absence_stands_from_the_next_day_on(clinic: Clinic) -> None:
    appointment = clinic.booked(clinic.session())
    to_monday(clinic, hours=8.5)
    made(clinic.at_desk("no-show", appointment))
    to_monday(clinic, hours=24)
    refused(clinic.at_desk("check-in", appointment), 409, "not-today")


def test_taking_one_absence_back_leaves_the_others(clinic: Clinic) -> None:
    missed(clinic, clinic.session())
    missed(clinic, clinic.session(), slot=2)
    late = clinic.session(start="16:00", end="17:00")
    refused(clinic.book(late), 409, "barred")
    [second, _] = json_of(clinic.get("/v1/appointments", by="citizen-1"))["items"]
    made(clinic.at_desk("check-in", second))
    third = clinic.booked(late)
    to_monday(clinic, hours=16.5)
    made(clinic.at_desk("no-show", third))
    refused(clinic.book(clinic.session(start="20:00", end="21:00")), 409, "barred")


def test_nobody_is_barred_for_an_hour_that_the_hospital_chose(clinic: Clinic) -> None:
    """Earlier or later, with notice or without: it is not the hour that the patient took."""
    clinic.set_limits(no_shows_max=1)
    earlier, later = clinic.session(start="16:00", end="17:00"), clinic.session()
    moved = [clinic.booked(earlier), clinic.booked(later, by="citizen-2")]
    to_monday(clinic, hours=7)
    clinic.move(earlier, 0, "07:05")
    clinic.move(later, 0, "11:00")
    to_monday(clinic, hours=12)
    for appointment in moved:
        assert made(clinic.at_desk("no-show", appointment))["state"] == "no_show"
    afternoon = clinic.session(start="18:00", end="19:00")
    made(clinic.book(afternoon, by="citizen-1"))
    made(clinic.book(afternoon, by="citizen-2"))


def test_whoever_does_not_come_too_often_is_told_until_when(clinic: Clinic) -> None:
    missed(clinic, clinic.session())
    made(clinic.book(clinic.session(start="14:00", end="15:00")))
    missed(clinic, clinic.session(), slot=2)
    later = clinic.session(start="16:00", end="17:00")
    problem = refused(clinic.book(later), 409, "barred")
    assert problem["barred_until"] == "2026-01-15T01:00:00.000Z"
    made(clinic.book(later, by="citizen-2"))
    made(clinic.book(clinic.session(hospital=DUNHUANG, start="17:00", end="18:00")))
    days: dict[str, Any] = {"first": "2026-01-15", "last": "2026-01-15", "weekdays": [4]}
    thursday = clinic.session(**days)
    to_monday(clinic, hours=240 + 9 - 1 / 3600)
    refused(clinic.book(thursday, 3), 409, "barred")
    clinic.clock.pass_wall(seconds=1)
    made(clinic.book(thursday, 3))
