"""Health's stage: a session in three days at hospital-1's hospital, of which citizen-1 has booked a
slot.
"""

from shared.times import DAY_MS, MINUTE_MS, day_of, milliseconds
from tests.support.clinic import LZU, Clinic
from tests.support.scenes.stage import Ids, Stage
from tests.support.served import Json, json_of

EVERY_DAY = [1, 2, 3, 4, 5, 6, 7]


def _session(clinic: Clinic, **changes: str) -> Json:
    that_day = day_of(clinic.clock.now_ms() + 3 * DAY_MS).isoformat()
    return clinic.session(
        first=that_day, last=that_day, weekdays=EVERY_DAY, release_days=30, **changes
    )


def _furnish(clinic: Clinic) -> Ids:
    clinic.open_desks()
    # A patient has one day for each scene: nobody can be in two places.
    clinic.clock.pass_wall(hours=24)
    session = _session(clinic)
    appointment = clinic.booked(session)
    return {
        "hospital_id": LZU,
        "department_id": session["department_id"],
        "doctor_id": session["doctor_id"],
        "session_id": session["id"],
        "slot": "1",
        "appointment_id": appointment["id"],
        "slug": "fully-booked",
    }


def _elsewhere(_: Clinic, ids: Ids) -> None:
    """A hospital that has no desk yet."""
    ids["hospital_id"] = "gansu-provincial"


def _other_doctor(clinic: Clinic, ids: Ids) -> None:
    session = _session(clinic, start="14:00", end="16:00")
    ids |= {"session_id": session["id"], "starts_at": session["slots"][0]["starts_at"]}


def _that_day(clinic: Clinic, ids: Ids) -> None:
    _at(clinic, ids, "starts_at", 0)


def _too_late(clinic: Clinic, ids: Ids) -> None:
    _at(clinic, ids, "ends_at", MINUTE_MS)


def _at(clinic: Clinic, ids: Ids, moment: str, later_ms: int) -> None:
    appointment = json_of(clinic.get(f"/v1/appointments/{ids['appointment_id']}", by="citizen-1"))
    clinic.clock.wall_ms = milliseconds(appointment[moment]) + later_ms


_AT_DESK = "POST /v1/hospitals/{hospital_id}/appointments/{appointment_id}"

STAGE = Stage(
    _furnish,
    before={
        "POST /v1/hospitals/{hospital_id}/desk": _elsewhere,
        "POST /v1/appointments": _other_doctor,
        f"{_AT_DESK}/check-in": _that_day,
        f"{_AT_DESK}/no-show": _too_late,
    },
    bodies={
        "POST /v1/appointments": lambda ids: {
            "session_id": ids["session_id"],
            "starts_at": ids["starts_at"],
        }
    },
    tags={"PATCH /v1/sessions/{session_id}/slots/{slot}": "/v1/sessions/{session_id}"},
)
