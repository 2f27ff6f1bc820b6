"""Hospitals, schedules and availability over HTTP."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.health.schemas.desks import DoctorSchema, HospitalSchema
from services.health.schemas.schedules import AvailabilitySchema, SessionSchema
from shared.storage.transaction import BatchTransaction
from tests.support.clinic import DUNHUANG, LIMITS, LZU, PATTERN, Clinic
from tests.support.served import json_of, made, refused


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    with Clinic(tmp_path) as clinic:
        clinic.open_desks()
        yield clinic


# Hospitals


def test_the_hospitals_are_real_ones_graded_only_where_it_is_sure(clinic: Clinic) -> None:
    found = json_of(clinic.get("/v1/hospitals?limit=100"))["items"]
    assert len(found) == 24
    assert all(HospitalSchema().validate(item) == {} for item in found)
    assert {item["grade"] for item in found} == {"3A", None}


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("q=敦煌", ["dunhuang-city"]),
        ("q=dunhuang", ["dunhuang-city"]),
        ("q=兰州 第一", ["lzu-first", "lanzhou-first"]),
        ("division=621221", ["chengxian-peoples"]),
        ("division=621200", ["longnan-first", "chengxian-peoples"]),
        ("division=620600&grade=3A", ["wuwei-cancer"]),
        ("grade=2A", []),
    ],
)
def test_hospitals_are_found_by_name_place_and_grade(
    clinic: Clinic, query: str, ids: list[str]
) -> None:
    found = json_of(clinic.get(f"/v1/hospitals?{query}"))["items"]
    assert [item["id"] for item in found] == ids


def test_a_hospital_in_both_languages(clinic: Clinic) -> None:
    path = f"/v1/hospitals/{LZU}"
    assert json_of(clinic.get(path))["name"] == "兰州大学第一医院"
    answer = clinic.get(path, headers={"Accept-Language": "en"})
    assert json_of(answer)["name"] == "The First Hospital of Lanzhou University"
    assert answer.headers["Cache-Control"].startswith("public, max-age=3600")
    refused(clinic.get("/v1/hospitals/nothing"), 404, "not-found")


def test_a_desk_is_opened_once_at_a_hospital_that_exists(clinic: Clinic) -> None:
    refused(clinic.post(f"/v1/hospitals/{LZU}/desk", LIMITS, by="operator-1"), 409, "desk-open")
    path = "/v1/hospitals/nothing/desk"
    refused(clinic.post(path, LIMITS, by="operator-1"), 404, "not-found")
    refused(clinic.get("/v1/hospitals/gansu-tcm/desk"), 404, "not-found")


def test_departments_and_doctors_are_listed_and_kept_by_their_hospital(clinic: Clinic) -> None:
    department = clinic.department()
    doctor = clinic.doctor(department)
    shown = json_of(clinic.get(f"/v1/hospitals/{LZU}/departments"))["items"]
    assert [item["id"] for item in shown] == [department]
    doctors = json_of(clinic.get(f"/v1/departments/{department}/doctors"))["items"]
    assert doctors == [json_of(clinic.get(f"/v1/doctors/{doctor}"))]
    assert DoctorSchema().validate(doctors[0]) == {}
    refused(clinic.get("/v1/departments/nothing/doctors"), 404, "not-found")
    name = {"name_zh": "外科"}
    for path in (f"/v1/hospitals/{LZU}/departments", f"/v1/departments/{department}/doctors"):
        refused(clinic.post(path, name, by="hospital-2"), 404, "not-found")


def test_what_is_added_stands_where_its_answer_says(clinic: Clinic) -> None:
    department = clinic.department()
    for path in (f"hospitals/{LZU}/departments", f"departments/{department}/doctors"):
        answer = clinic.post(f"/v1/{path}", {"name_zh": "甲"}, by="hospital-1")
        assert json_of(clinic.client.get(answer.headers["Location"])) == made(answer)


# Publishing


def test_a_pattern_becomes_sessions_on_its_days(clinic: Clinic) -> None:
    doctor = clinic.doctor()
    answer = clinic.publish(doctor, last="2026-01-18", weekdays=[1, 3])
    ids = made(answer)["made"]
    assert [key.split(".")[1] for key in ids] == ["20260105", "20260107", "20260112", "20260114"]
    session = clinic.read(ids[1])
    assert SessionSchema().validate(session) == {}
    assert (session["starts_at"], session["ends_at"]) == (
        "2026-01-07T00:00:00.000Z",
        "2026-01-07T02:00:00.000Z",
    )
    assert session["opens_at"] == "2025-12-30T23:00:00.000Z"
    assert [slot["free"] for slot in session["slots"]] == [3, 3, 3, 3]


def test_publishing_again_keeps_what_is_there(clinic: Clinic) -> None:
    doctor = clinic.doctor()
    session = clinic.session(doctor)
    clinic.booked(session)
    again = made(clinic.publish(doctor, last="2026-01-12", places=9))
    assert again["kept"] == [session["id"]]
    assert len(again["made"]) == 1
    assert clinic.free(session) == [2, 3, 3, 3]


def test_a_doctor_is_in_one_place(clinic: Clinic) -> None:
    doctor = clinic.doctor()
    session = clinic.session(doctor)
    problem = refused(clinic.publish(doctor, start="09:30", end="11:00"), 409, "doctor-busy")
    assert problem["date"] == "2026-01-05"
    made(clinic.publish(doctor, start="10:00", end="11:00"))
    made(clinic.post(f"/v1/sessions/{session['id']}/stop", by="hospital-1"))
    made(clinic.publish(doctor, start="09:00", end="10:00"))


def test_only_the_hospitals_own_staff_publish(clinic: Clinic) -> None:
    doctor = clinic.doctor()
    refused(clinic.publish(doctor, by="hospital-2"), 404, "not-found")
    made(clinic.publish(doctor, by="operator-1"))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"first": "2026-02-30"}, "first"),
        ({"first": "2025-12-29"}, "first"),
        ({"last": "2026-01-04"}, "last"),
        ({"last": "2026-02-05"}, "last"),
        ({"weekdays": [2]}, "weekdays"),
        ({"weekdays": []}, "weekdays"),
        ({"weekdays": [0]}, "weekdays.0"),
        ({"start": "24:00"}, "start"),
        ({"end": "08:00"}, "end"),
        ({"end": "09:50"}, "end"),
        ({"start": "00:00", "end": "23:00", "slot_minutes": 5}, "slot_minutes"),
        ({"end": "18:00", "places": 20}, "places"),
        ({"release_days": 0, "release_time": "08:00"}, "release_time"),
    ],
)
def test_a_pattern_that_cannot_be_names_its_field(
    clinic: Clinic, changes: dict[str, Any], field: str
) -> None:
    refused(clinic.publish(clinic.doctor(), **changes), 422, "invalid-request", field)


def test_the_largest_publication_fits_one_change(clinic: Clinic) -> None:
    answer = clinic.publish(
        clinic.doctor(),
        last="2026-02-04",
        weekdays=[1, 2, 3, 4, 5, 6, 7],
        end="16:00",
        slot_minutes=10,
        places=4,
    )
    assert len(made(answer)["made"]) == 31


def test_a_publication_looks_at_all_days_before_it_writes_any(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list inside a change reads all that it has written: a month would be read a month over."""
    doctor, calls = clinic.doctor(), []

    def noting(name: str) -> None:
        plain = getattr(BatchTransaction, name)

        def noted(self: BatchTransaction, *args: Any, **options: Any) -> Any:
            calls.append(name)
            return plain(self, *args, **options)

        monkeypatch.setattr(BatchTransaction, name, noted)

    noting("find")
    noting("put")
    published = made(clinic.publish(doctor, last="2026-02-04", weekdays=[1, 3, 5]))
    assert calls.count("put") > len(published["made"]) > 1
    assert "find" not in calls[calls.index("put") :]


# Availability


def test_two_weeks_of_a_department_are_small_and_true(clinic: Clinic) -> None:
    department = clinic.department()
    doctors = [clinic.doctor(department) for _ in range(2)]
    everyday: dict[str, Any] = {"last": "2026-01-18", "weekdays": [1, 2, 3, 4, 5]}
    for doctor in doctors:
        made(clinic.publish(doctor, **everyday))
    clinic.booked(clinic.read(f"{doctors[0]}.20260105.0800"))
    clinic.clock.pass_monotonic(2)
    answer = clinic.get(f"/v1/departments/{department}/availability?first=2026-01-05")
    body = json_of(answer)
    assert AvailabilitySchema().validate(body) == {}
    assert len(body["days"]) == 14
    assert len(answer.data) <= 2048
    assert body["days"][0] == {"date": "2026-01-05", "free": 23, "places": 24, "opens_at": None}
    assert body["days"][5] == {"date": "2026-01-10", "free": 0, "places": 0, "opens_at": None}
    assert body["days"][7]["opens_at"] == "2026-01-04T23:00:00.000Z"
    assert body["days"][7]["free"] == 0
    own = json_of(clinic.get(f"/v1/doctors/{doctors[1]}/availability?first=2026-01-05&days=1"))
    assert [day["free"] for day in own["days"]] == [12]


def test_availability_is_for_everyone_and_not_sent_twice(clinic: Clinic) -> None:
    path = f"/v1/departments/{clinic.department()}/availability"
    answer = clinic.get(path)
    assert json_of(answer)["days"][0]["date"] == "2026-01-01"
    assert answer.headers["Cache-Control"].startswith("public, max-age=2,")
    again = clinic.get(path, headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
    refused(clinic.get("/v1/departments/nothing/availability"), 404, "not-found")
    for query, field in (("days=15", "days"), ("first=2026-02-30", "first")):
        refused(clinic.get(f"{path}?{query}"), 422, "invalid-request", field)


def test_availability_begins_with_the_day_that_it_is_in_gansu(clinic: Clinic) -> None:
    path = f"/v1/departments/{clinic.department()}/availability"
    for hours, day in ((15.5, "2026-01-01"), (1, "2026-01-02")):
        clinic.clock.pass_wall(hours=hours)
        assert json_of(clinic.get(path))["days"][0]["date"] == day


def test_the_sessions_of_one_day(clinic: Clinic) -> None:
    department = clinic.department()
    ids = [clinic.session(clinic.doctor(department))["id"] for _ in range(3)]
    path = f"/v1/departments/{department}/sessions?date=2026-01-05"
    page = json_of(clinic.get(f"{path}&limit=2"))
    rest = json_of(clinic.get(f"{path}&limit=2&after={page['after']}"))
    assert [item["id"] for item in page["items"] + rest["items"]] == sorted(ids)
    own = json_of(clinic.get(f"/v1/doctors/{ids[0].partition('.')[0]}/sessions?date=2026-01-05"))
    assert [item["id"] for item in own["items"]] == ids[:1]
    assert json_of(clinic.get(path.replace("-05", "-06")))["items"] == []
    none = f"/v1/departments/{department}/sessions?date=2026-02-30"
    refused(clinic.get(none), 422, "invalid-request", "date")


# Stopping and moving


def test_a_stopped_session_offers_nothing(clinic: Clinic) -> None:
    session = clinic.session()
    made(clinic.post(f"/v1/sessions/{session['id']}/stop", by="hospital-1"))
    shown = clinic.read(session["id"])
    assert (shown["free"], clinic.free(session)) == (0, [0, 0, 0, 0])
    for path in (f"departments/{session['department_id']}", f"doctors/{session['doctor_id']}"):
        listed = json_of(clinic.get(f"/v1/{path}/sessions?date=2026-01-05"))["items"]
        assert [(item["id"], item["free"]) for item in listed] == [(session["id"], 0)]


def test_a_stopped_session_cancels_all_its_appointments(clinic: Clinic) -> None:
    session = clinic.session()
    waiting = [clinic.booked(session, by=f"citizen-{number}") for number in range(3)]
    gone = clinic.booked(session, 1, by="citizen-9")
    made(clinic.cancel(gone, by="citizen-9"))
    path = f"/v1/sessions/{session['id']}/stop"
    stopped = made(clinic.post(path, by="hospital-1", key="stop"))
    assert stopped["state"] == "stopped"
    assert made(clinic.post(path, by="hospital-1", key="stop")) == stopped
    refused(clinic.post(path, by="hospital-1"), 409, "session-stopped")
    for number, appointment in enumerate(waiting):
        shown = clinic.get(f"/v1/appointments/{appointment['id']}", by=f"citizen-{number}")
        assert json_of(shown)["state"] == "cancelled"
    assert called_off(clinic) == [item["id"] for item in waiting]
    refused(clinic.book(session, 3), 409, "session-stopped")
    made(clinic.book(clinic.session(), by="citizen-0"))


def called_off(clinic: Clinic) -> list[str]:
    return [
        data["appointment"] for kind, data in clinic.events() if kind == "appointment.called_off"
    ]


def test_who_waits_in_the_hall_is_called_off_as_well(clinic: Clinic) -> None:
    """All but those whom the doctor may be seeing; they can be booked elsewhere at once."""
    session = clinic.session()
    with_the_doctor, next_one = (
        clinic.booked(session, slot, by=f"citizen-{slot}") for slot in (0, 1)
    )
    clinic.clock.pass_wall(hours=4 * 24 + 0.25)
    clinic.clock.pass_monotonic(2)
    for patient in (with_the_doctor, next_one):
        made(clinic.at_desk("check-in", patient))
    made(clinic.post(f"/v1/sessions/{session['id']}/stop", by="hospital-1"))
    assert called_off(clinic) == [next_one["id"]]
    left = json_of(clinic.get(f"/v1/appointments/{with_the_doctor['id']}", by="citizen-0"))
    assert left["state"] == "checked_in"
    made(clinic.book(clinic.session(), 3, by="citizen-1"))


def test_a_stop_passes_over_what_is_over(clinic: Clinic) -> None:
    """The desk still says who came, and who did not; nobody is told that the past is called off."""
    session = clinic.session()
    came, away, during, after = (
        clinic.booked(session, slot, by=f"citizen-{number}")
        for number, slot in enumerate((0, 0, 1, 2))
    )
    clinic.clock.pass_wall(hours=4 * 24 + 0.5)
    clinic.clock.pass_monotonic(2)
    made(clinic.post(f"/v1/sessions/{session['id']}/stop", by="hospital-1"))
    assert called_off(clinic) == [during["id"], after["id"]]
    assert made(clinic.at_desk("check-in", came))["state"] == "checked_in"
    assert made(clinic.at_desk("no-show", away))["state"] == "no_show"
    assert refused(clinic.at_desk("no-show", during), 409, "not-booked")["state"] == "cancelled"


def test_a_moved_slot_takes_its_patients_along(clinic: Clinic) -> None:
    session = clinic.session()
    appointment = clinic.booked(session, 1)
    answer = clinic.move(clinic.read(session["id"]), 1, "14:00")
    assert answer.status_code == 200, answer.text
    assert json_of(answer)["slots"][1]["starts_at"] == "2026-01-05T06:00:00.000Z"
    shown = json_of(clinic.get(f"/v1/appointments/{appointment['id']}", by="citizen-1"))
    assert (shown["starts_at"], shown["ends_at"]) == (
        "2026-01-05T06:00:00.000Z",
        "2026-01-05T06:30:00.000Z",
    )
    kind, data = clinic.events()[-1]
    assert (kind, data["appointment"]) == ("appointment.moved", appointment["id"])
    refused(clinic.book(session, 1, by="citizen-2"), 409, "slot-gone")
    other = clinic.session(hospital=DUNHUANG, start="14:00", end="14:30")
    refused(clinic.book(other), 409, "time-taken")
    made(clinic.book(clinic.session(hospital=DUNHUANG, start="08:30", end="09:00")))


def test_who_is_checked_in_is_moved_along(clinic: Clinic) -> None:
    session = clinic.session()
    appointment = clinic.booked(session, 3)
    clinic.clock.pass_wall(hours=4 * 24 - 1)
    made(clinic.at_desk("check-in", appointment))
    assert clinic.move(session, 3, "14:00").status_code == 200
    shown = json_of(clinic.get(f"/v1/appointments/{appointment['id']}", by="citizen-1"))
    assert (shown["state"], shown["starts_at"]) == ("checked_in", "2026-01-05T06:00:00.000Z")


def test_a_slot_is_not_moved_where_somebody_has_no_time(clinic: Clinic) -> None:
    doctor = clinic.doctor()
    session = clinic.session(doctor)
    clinic.booked(session, 1)
    clinic.booked(clinic.session(hospital=DUNHUANG, start="14:00", end="14:30"))
    assert refused(clinic.move(session, 1, "14:10"), 409, "patients-busy")["patients"] == 1
    refused(clinic.move(session, 0, "08:10"), 409, "doctor-busy")
    made(clinic.publish(doctor, start="16:00", end="17:00"))
    refused(clinic.move(session, 0, "16:30"), 409, "doctor-busy")
    refused(clinic.move(session, 0, "23:45"), 422, "invalid-request", "start")
    refused(clinic.move(session, 4, "15:00"), 404, "not-found")
    refused(clinic.move(session, "x", "15:00"), 404, "not-found")
    refused(clinic.move(session, 0, "15:00", by="hospital-2"), 404, "not-found")


def test_all_patients_who_have_no_time_are_counted(clinic: Clinic) -> None:
    session = clinic.session()
    elsewhere = clinic.session(hospital=DUNHUANG, start="14:00", end="14:30")
    for number in range(3):
        clinic.booked(session, 1, by=f"citizen-{number}")
    for number in range(2):
        clinic.booked(elsewhere, by=f"citizen-{number}")
    assert refused(clinic.move(session, 1, "14:10"), 409, "patients-busy")["patients"] == 2


def test_a_slot_that_was_read_too_early_is_not_moved(clinic: Clinic) -> None:
    session = clinic.session()
    match = {"If-Match": clinic.get(f"/v1/sessions/{session['id']}").headers["ETag"]}
    clinic.booked(session)
    path = f"/v1/sessions/{session['id']}/slots/0"
    answer = clinic.ask("PATCH", path, {"start": "15:00"}, by="hospital-1", headers=match)
    refused(answer, 412, "stale")


def test_a_full_session_is_stopped_in_one_change(clinic: Clinic) -> None:
    session = clinic.session(places=20, end="13:00")
    for number in range(200):
        made(clinic.book(session, number // 20, by=f"citizen-{number}"))
    assert sum(clinic.free(session)) == 0
    assert made(clinic.post(f"/v1/sessions/{session['id']}/stop", by="hospital-1"))["free"] == 0
    assert clinic.free(session) == [0] * 10


def test_what_a_notice_is_made_of_names_no_doctor_and_no_department(clinic: Clinic) -> None:
    clinic.booked(clinic.session())
    assert [set(data) for _, data in clinic.events()] == [{"appointment"}]
    assert PATTERN["first"] not in str(clinic.events())


def test_a_department_has_so_many_sessions_a_day_and_no_more(clinic: Clinic) -> None:
    department = clinic.department()
    for _ in range(60):
        clinic.session(clinic.doctor(department))
    problem = refused(clinic.publish(clinic.doctor(department)), 409, "too-many-sessions")
    assert problem["date"] == "2026-01-05"
    made(
        clinic.publish(
            clinic.doctor(department), first="2026-01-06", weekdays=[2], last="2026-01-06"
        )
    )
    clinic.clock.pass_monotonic(2)
    page = json_of(clinic.get(f"/v1/departments/{department}/availability?first=2026-01-05&days=1"))
    assert page["days"][0]["places"] == 60 * 12
