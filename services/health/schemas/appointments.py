"""Appointments as JSON, for who booked them and for a hospital's staff."""

from typing import ClassVar

from services.health.domain import SLOTS_MAX, STATES
from services.health.domain.appointments import cancel_until_ms
from services.health.schemas.common import (
    APPOINTMENT_ID,
    DEPARTMENT_ID,
    DOCTOR_ID,
    HOSPITAL_ID,
    LOCAL_DAY,
    SESSION_ID,
)
from shared.auth.acting import Open, acts_json
from shared.errors import invalid
from shared.language import Words
from shared.schemas import (
    ID,
    Choice,
    Day,
    Example,
    Instant,
    Items,
    PageQuery,
    Schema,
    Text,
    Whole,
    acted_by,
)
from shared.storage.access import Document
from shared.storage.catalogue import Body
from shared.times import instant, milliseconds


class NewAppointmentSchema(Schema):
    EXAMPLE: ClassVar[Example] = {
        "session_id": SESSION_ID,
        "starts_at": "2026-05-04T00:30:00.000Z",
    }

    session_id = Text(100, pattern=ID)
    starts_at = Instant(doc=Words("所选时段的开始时间", "When the slot begins, as it was shown"))


def start_of(body: Body) -> int:
    """When the slot begins that is to be booked. Raises Refused(INVALID)."""
    try:
        return milliseconds(body["starts_at"])
    except ValueError:
        raise invalid("starts_at", "没有这个时间", "is no time of the calendar") from None


class StaffAppointmentSchema(Schema):
    """An appointment as a hospital's staff see it: nothing of the patient."""

    EXAMPLE: ClassVar[Example] = {
        "id": APPOINTMENT_ID,
        "session_id": SESSION_ID,
        "slot": 1,
        "state": "booked",
        "date": "2026-05-04",
        "starts_at": "2026-05-04T00:30:00.000Z",
        "ends_at": "2026-05-04T01:00:00.000Z",
    }

    id = Text(100)
    session_id = Text(100)
    slot = Whole(0, SLOTS_MAX)
    state = Choice(*STATES)
    date = Day(doc=LOCAL_DAY)
    starts_at = Instant()
    ends_at = Instant()


class AppointmentSchema(StaffAppointmentSchema):
    EXAMPLE: ClassVar[Example] = {
        **StaffAppointmentSchema.EXAMPLE,
        "hospital_id": HOSPITAL_ID,
        "department_id": DEPARTMENT_ID,
        "doctor_id": DOCTOR_ID,
        "cancel_until": "2026-05-03T00:30:00.000Z",
        "booked_at": "2026-05-01T08:30:00.000Z",
    }

    hospital_id = Text(100)
    department_id = Text(100)
    doctor_id = Text(100)
    cancel_until = Instant(doc=Words("在此之前可取消", "Until then it can be cancelled"))
    booked_at = Instant()
    acted_by = acted_by()


class AppointmentsSchema(Schema):
    items = Items(AppointmentSchema, PageQuery.LIMIT_MAX)
    after = Text(1024, nullable=True)


class StaffAppointmentsSchema(Schema):
    items = Items(StaffAppointmentSchema, PageQuery.LIMIT_MAX)
    after = Text(1024, nullable=True)


class StaffAppointmentQuery(PageQuery):
    state = Choice(*STATES, required=False, default="booked")


def staff_appointment_json(appointment: Document) -> Body:
    body = appointment.body
    return {
        "id": appointment.key,
        "session_id": body["session"],
        "slot": body["slot"],
        "state": body["state"],
        "date": body["date"],
        "starts_at": instant(body["start_ms"]),
        "ends_at": instant(body["end_ms"]),
    }


def appointment_json(appointment: Document, opened: Open) -> Body:
    body = appointment.body
    return {
        **staff_appointment_json(appointment),
        "hospital_id": body["hospital"],
        "department_id": body["department"],
        "doctor_id": body["doctor"],
        "cancel_until": instant(cancel_until_ms(body)),
        "booked_at": instant(body["booked_ms"]),
        **acts_json(body, opened),
    }
