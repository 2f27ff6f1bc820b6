"""What health answers, whole and by value: a schema says only of which types it is."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.health.actions import desks
from tests.support.clinic import LIMITS, LZU, Clinic
from tests.support.served import in_both, json_of, made

NAMES = {"name_zh": "示例内科", "name_en": "Sample internal medicine"}


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    with Clinic(tmp_path) as clinic:
        clinic.open_desks()
        yield clinic


# Hospitals, desks, departments and doctors


def test_a_hospital(clinic: Clinic) -> None:
    hospital = {
        "id": "lzu-first",
        "name": "兰州大学第一医院",
        "name_zh": "兰州大学第一医院",
        "name_en": "The First Hospital of Lanzhou University",
        "division": "620102",
        "prefecture": "620100",
        "grade": "3A",
    }
    english = {**hospital, "name": "The First Hospital of Lanzhou University"}
    assert in_both(clinic, f"/v1/hospitals/{LZU}") == (hospital, english)


def test_a_desk_and_who_works_there(clinic: Clinic) -> None:
    assert json_of(clinic.get(f"/v1/hospitals/{LZU}/desk")) == {
        "hospital_id": "lzu-first",
        "cancel_hours": 24,
        "no_shows_max": 2,
        "no_show_days": 30,
        "barred_days": 10,
        "sample": False,
    }
    for active in (False, True):
        body = {"account": "hospital-9", "active": active}
        answer = clinic.post(f"/v1/hospitals/{LZU}/staff", body, by="operator-1")
        assert made(answer) == {"hospital_id": "lzu-first", "active": active}


def test_a_department_and_its_doctor(clinic: Clinic) -> None:
    department_id = clinic.department()
    doctor_id = clinic.doctor(department_id)
    department = {
        "id": department_id,
        "hospital_id": "lzu-first",
        "name": "内科",
        "name_zh": "内科",
        "name_en": "Internal medicine",
        "sample": False,
    }
    english = {**department, "name": "Internal medicine"}
    assert in_both(clinic, f"/v1/departments/{department_id}") == (department, english)
    doctor = {
        "id": doctor_id,
        "hospital_id": "lzu-first",
        "department_id": department_id,
        "name": "示例医生 01",
        "name_zh": "示例医生 01",
        "name_en": "Sample doctor 01",
        "sample": False,
    }
    english = {**doctor, "name": "Sample doctor 01"}
    assert in_both(clinic, f"/v1/doctors/{doctor_id}") == (doctor, english)


def test_what_was_planted_says_that_it_is_a_sample(clinic: Clinic) -> None:
    hospital, rows = "gansu-tcm", [("sample-department", NAMES)]
    doctors = [("sample-doctor", {**NAMES, "department": "sample-department"})]
    desks.plant_desk(clinic.database, hospital, LIMITS, [], rows, doctors)
    for path in (
        f"/v1/hospitals/{hospital}/desk",
        "/v1/departments/sample-department",
        "/v1/doctors/sample-doctor",
    ):
        assert json_of(clinic.get(path))["sample"] is True


# Sessions


def test_a_publication(clinic: Clinic) -> None:
    doctor = clinic.doctor()
    made(clinic.publish(doctor))
    publication = made(clinic.publish(doctor, last="2026-01-12"))
    assert publication.pop("id").startswith("publication_")
    assert publication == {
        "doctor_id": doctor,
        "made": [f"{doctor}.20260112.0800"],
        "kept": [f"{doctor}.20260105.0800"],
    }


def test_a_session_with_its_slots_and_without(clinic: Clinic) -> None:
    department = clinic.department()
    doctor = clinic.doctor(department)
    session_id = f"{doctor}.20260105.0800"
    clinic.booked(clinic.session(doctor), 2)
    head = {
        "id": session_id,
        "hospital_id": "lzu-first",
        "department_id": department,
        "doctor_id": doctor,
        "date": "2026-01-05",
        "state": "open",
        "opens_at": "2025-12-28T23:00:00.000Z",
        "starts_at": "2026-01-05T00:00:00.000Z",
        "ends_at": "2026-01-05T02:00:00.000Z",
        "free": 11,
    }
    slots = [
        {
            "slot": number,
            "starts_at": f"2026-01-05T{start}:00.000Z",
            "ends_at": f"2026-01-05T{end}:00.000Z",
            "free": free,
        }
        for number, start, end, free in (
            (0, "00:00", "00:30", 3),
            (1, "00:30", "01:00", 3),
            (2, "01:00", "01:30", 2),
            (3, "01:30", "02:00", 3),
        )
    ]
    assert clinic.read(session_id) == {**head, "slots": slots}
    listed = json_of(clinic.get(f"/v1/doctors/{doctor}/sessions?date=2026-01-05"))
    assert listed == {"items": [head], "after": None}


def test_what_is_available(clinic: Clinic) -> None:
    department = clinic.department()
    made(clinic.publish(clinic.doctor(department), last="2026-01-13", weekdays=[1, 2]))
    later = f"/v1/departments/{department}/availability?first=2026-01-11&days=3"
    assert json_of(clinic.get(later)) == {
        "days": [
            {"date": "2026-01-11", "free": 0, "places": 0, "opens_at": None},
            {
                "date": "2026-01-12",
                "free": 0,
                "places": 12,
                "opens_at": "2026-01-04T23:00:00.000Z",
            },
            {
                "date": "2026-01-13",
                "free": 0,
                "places": 12,
                "opens_at": "2026-01-05T23:00:00.000Z",
            },
        ]
    }
    now = json_of(clinic.get(later.replace("01-11&days=3", "01-06&days=1")))
    assert now == {"days": [{"date": "2026-01-06", "free": 12, "places": 12, "opens_at": None}]}


# Appointments


def test_an_appointment_as_its_patient_and_as_staff_see_it(clinic: Clinic) -> None:
    department = clinic.department()
    doctor = clinic.doctor(department)
    appointment_id = clinic.booked(clinic.session(doctor), 2)["id"]
    at_desk = {
        "id": appointment_id,
        "session_id": f"{doctor}.20260105.0800",
        "slot": 2,
        "state": "booked",
        "date": "2026-01-05",
        "starts_at": "2026-01-05T01:00:00.000Z",
        "ends_at": "2026-01-05T01:30:00.000Z",
    }
    path = f"/v1/hospitals/{LZU}/appointments/{appointment_id}"
    assert json_of(clinic.get(path, by="clinician-1")) == at_desk
    assert json_of(clinic.get(f"/v1/appointments/{appointment_id}", by="citizen-1")) == {
        **at_desk,
        "hospital_id": "lzu-first",
        "department_id": department,
        "doctor_id": doctor,
        "cancel_until": "2026-01-04T01:00:00.000Z",
        "booked_at": "2026-01-01T00:00:01.000Z",
    }
