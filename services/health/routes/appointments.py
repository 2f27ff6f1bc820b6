"""Appointments over HTTP: a citizen's own, and a hospital's."""

from services.health.actions import appointments as actions
from services.health.domain.problems import (
    BARRED,
    BOOKED_ALREADY,
    FULLY_BOOKED,
    NOT_BOOKED,
    NOT_OPEN_YET,
    NOT_OVER,
    NOT_TODAY,
    SESSION_STOPPED,
    SLOT_GONE,
    SLOT_PAST,
    TIME_TAKEN,
    TOO_LATE,
    TOO_MANY,
)
from services.health.routes.parts import CITIZEN, CLINIC, STAFF, Health, new_router, staff_of
from services.health.schemas import appointments as schemas
from services.health.schemas.appointments import (
    appointment_json,
    staff_appointment_json,
    start_of,
)
from shared.language import Words
from shared.schemas import PageQuery
from shared.storage.access import Committed, Document
from shared.web.routes import Answer, Call

router = new_router()


@router.route(
    "POST /v1/appointments",
    Words("预约挂号", "Book an appointment"),
    scope="appointments:write",
    roles=CITIZEN,
    body=schemas.NewAppointmentSchema,
    answer=schemas.AppointmentSchema,
    problems=(
        SESSION_STOPPED,
        NOT_OPEN_YET,
        SLOT_GONE,
        SLOT_PAST,
        FULLY_BOOKED,
        BOOKED_ALREADY,
        TIME_TAKEN,
        BARRED,
        TOO_MANY,
    ),
)
def book_appointment(call: Call[Health]) -> Answer:
    made = actions.book(
        call.parts.database,
        call.identity.subject,
        call.claim,
        call.body["session_id"],
        start_of(call.body),
        call.identity.actor,
    )
    answer = _own_answer(call, made)
    answer.location = f"/health/v1/appointments/{made.value.key}"
    return answer


@router.route(
    "GET /v1/appointments",
    Words("我的预约，最新在前", "My own appointments, last booked first"),
    scope="appointments:read",
    roles=CITIZEN,
    query=PageQuery,
    answer=schemas.AppointmentsSchema,
)
def list_appointments(call: Call[Health]) -> Answer:
    found = actions.list_own(
        call.parts.database,
        call.identity.subject,
        limit=call.page.fetch,
        after=call.page.after,
        freshness=call.freshness(),
    )
    return call.page.answer(found, lambda hit: appointment_json(hit.document, call.delegation_of))


@router.route(
    "GET /v1/appointments/{appointment_id}",
    Words("我的一个预约", "One of my own appointments"),
    scope="appointments:read",
    roles=CITIZEN,
    answer=schemas.AppointmentSchema,
)
def read_appointment(call: Call[Health]) -> Answer:
    found = actions.read(
        call.parts.database,
        call.identity.subject,
        call.path["appointment_id"],
        call.freshness(),
    )
    return _own_answer(call, found)


@router.route(
    "POST /v1/appointments/{appointment_id}/cancellation",
    Words("取消预约", "Cancel an appointment"),
    scope="appointments:write",
    roles=CITIZEN,
    answer=schemas.AppointmentSchema,
    problems=(NOT_BOOKED, TOO_LATE),
)
def cancel_appointment(call: Call[Health]) -> Answer:
    found = actions.cancel(
        call.parts.database,
        call.identity.subject,
        call.path["appointment_id"],
        call.claim,
        call.identity.actor,
    )
    return _own_answer(call, found)


def _own_answer(call: Call[Health], found: Committed[Document]) -> Answer:
    shown = appointment_json(found.value, call.delegation_of)
    return Answer(shown, found.seq, found.value.revision)


# A hospital's


@router.route(
    "GET /v1/sessions/{session_id}/appointments",
    Words("一场门诊的预约，按时段", "A session's appointments, by slot"),
    scope="schedules:read",
    roles=CLINIC,
    query=schemas.StaffAppointmentQuery,
    answer=schemas.StaffAppointmentsSchema,
)
def list_session_appointments(call: Call[Health]) -> Answer:
    found = actions.list_of_session(
        call.parts.database,
        staff_of(call),
        call.path["session_id"],
        call.query["state"],
        limit=call.page.fetch,
        after=call.page.after,
        freshness=call.freshness(),
    )
    return call.page.answer(found, lambda hit: staff_appointment_json(hit.document))


@router.route(
    "GET /v1/hospitals/{hospital_id}/appointments/{appointment_id}",
    Words("本院的一个预约", "One of a hospital's appointments"),
    scope="schedules:read",
    roles=CLINIC,
    answer=schemas.StaffAppointmentSchema,
)
def read_hospital_appointment(call: Call[Health]) -> Answer:
    return _staff_answer(
        actions.read_at_desk(
            call.parts.database,
            staff_of(call),
            call.path["hospital_id"],
            call.path["appointment_id"],
            call.freshness(),
        )
    )


@router.route(
    "POST /v1/hospitals/{hospital_id}/appointments/{appointment_id}/check-in",
    Words("报到", "Check a patient in"),
    scope="appointments:check",
    roles=CLINIC,
    answer=schemas.StaffAppointmentSchema,
    problems=(NOT_BOOKED, NOT_TODAY),
)
def check_in(call: Call[Health]) -> Answer:
    return _staff_answer(
        actions.check_in(
            call.parts.database,
            staff_of(call),
            call.path["hospital_id"],
            call.path["appointment_id"],
            call.claim,
        )
    )


@router.route(
    "POST /v1/hospitals/{hospital_id}/appointments/{appointment_id}/no-show",
    Words("记为爽约", "Note that a patient did not come"),
    scope="appointments:check",
    roles=STAFF,
    answer=schemas.StaffAppointmentSchema,
    problems=(NOT_BOOKED, NOT_OVER),
)
def mark_no_show(call: Call[Health]) -> Answer:
    return _staff_answer(
        actions.miss(
            call.parts.database,
            staff_of(call),
            call.path["hospital_id"],
            call.path["appointment_id"],
            call.claim,
        )
    )


def _staff_answer(found: Committed[Document]) -> Answer:
    return Answer(staff_appointment_json(found.value), found.seq, found.value.revision)
