"""Availability and sessions over HTTP: read by everyone, published and changed by staff."""

from datetime import date

from services.health.actions import schedules as actions
from services.health.actions.keepers import PUBLIC
from services.health.actions.schedules import BY_DEPARTMENT, BY_DOCTOR
from services.health.domain.problems import (
    DOCTOR_BUSY,
    PATIENTS_BUSY,
    SESSION_STOPPED,
    SLOT_PAST,
    TOO_MANY_SESSIONS,
)
from services.health.routes.parts import NOTICE_BOARD, STAFF, Health, new_router, staff_of
from services.health.schemas import schedules as schemas
from services.health.schemas.schedules import (
    availability_json,
    first_day,
    pattern_of,
    publication_json,
    session_head_json,
    session_json,
)
from shared.errors import NOT_FOUND, Refused
from shared.language import Words
from shared.storage.access import Committed, Document
from shared.times import day_of, minutes_of
from shared.web.routes import Answer, Call

router = new_router()


# Availability


@router.route(
    "GET /v1/departments/{department_id}/availability",
    Words("科室各日余号", "What a department has free, day by day"),
    public=NOTICE_BOARD,
    query=schemas.AvailabilityQuery,
    answer=schemas.AvailabilitySchema,
)
def department_availability(call: Call[Health]) -> Answer:
    return _availability(call, BY_DEPARTMENT, call.path["department_id"])


@router.route(
    "GET /v1/doctors/{doctor_id}/availability",
    Words("医生各日余号", "What a doctor has free, day by day"),
    public=NOTICE_BOARD,
    query=schemas.AvailabilityQuery,
    answer=schemas.AvailabilitySchema,
)
def doctor_availability(call: Call[Health]) -> Answer:
    return _availability(call, BY_DOCTOR, call.path["doctor_id"])


def _availability(call: Call[Health], whose: str, key: str) -> Answer:
    now_ms = call.parts.clock.now_ms()
    found = actions.availability(
        call.parts.database,
        whose,
        key,
        first_day(call.query, day_of(now_ms)),
        call.query["days"],
        now_ms,
        call.freshness(PUBLIC),
    )
    return Answer(availability_json(found.value), found.seq)


@router.route(
    "GET /v1/departments/{department_id}/sessions",
    Words("科室某日的门诊", "A department's sessions on one day"),
    public=NOTICE_BOARD,
    query=schemas.SessionQuery,
    answer=schemas.SessionsSchema,
)
def department_sessions(call: Call[Health]) -> Answer:
    return _sessions(call, BY_DEPARTMENT, call.path["department_id"])


@router.route(
    "GET /v1/doctors/{doctor_id}/sessions",
    Words("医生某日的门诊", "A doctor's sessions on one day"),
    public=NOTICE_BOARD,
    query=schemas.SessionQuery,
    answer=schemas.SessionsSchema,
)
def doctor_sessions(call: Call[Health]) -> Answer:
    return _sessions(call, BY_DOCTOR, call.path["doctor_id"])


def _sessions(call: Call[Health], whose: str, key: str) -> Answer:
    found = actions.list_sessions(
        call.parts.database,
        whose,
        key,
        date.fromisoformat(call.query["date"]),
        limit=call.page.fetch,
        after=call.page.after,
        freshness=call.freshness(PUBLIC),
    )
    return call.page.answer(found, lambda hit: session_head_json(hit.document))


@router.route(
    "GET /v1/sessions/{session_id}",
    Words("一场门诊及其时段", "One session with its slots"),
    public=NOTICE_BOARD,
    answer=schemas.SessionSchema,
)
def read_session(call: Call[Health]) -> Answer:
    return _session_answer(
        actions.read_session(call.parts.database, call.path["session_id"], call.freshness(PUBLIC))
    )


def _session_answer(found: Committed[Document]) -> Answer:
    return Answer(session_json(found.value), found.seq, found.value.revision)


# Staff


@router.route(
    "POST /v1/doctors/{doctor_id}/schedule",
    Words("按规律发布门诊", "Publish a doctor's sessions by a pattern"),
    scope="schedules:write",
    roles=STAFF,
    body=schemas.PatternSchema,
    answer=schemas.PublicationSchema,
    problems=(DOCTOR_BUSY, TOO_MANY_SESSIONS),
)
def publish_sessions(call: Call[Health]) -> Answer:
    made = actions.publish(
        call.parts.database,
        staff_of(call),
        call.path["doctor_id"],
        call.claim,
        pattern_of(call.body),
    )
    return Answer(publication_json(made.value), made.seq, made.value.revision)


@router.route(
    "POST /v1/sessions/{session_id}/stop",
    Words(
        "停诊，取消尚未结束的全部预约",
        "Stop a session, with all its appointments that are not over",
    ),
    scope="schedules:write",
    roles=STAFF,
    answer=schemas.SessionSchema,
    problems=(SESSION_STOPPED, SLOT_PAST),
)
def stop_session(call: Call[Health]) -> Answer:
    return _session_answer(
        actions.stop(call.parts.database, staff_of(call), call.path["session_id"], call.claim)
    )


@router.route(
    "PATCH /v1/sessions/{session_id}/slots/{slot}",
    Words("将时段改到当日其他时间", "Move a slot to another time of its day"),
    scope="schedules:write",
    roles=STAFF,
    body=schemas.MoveSchema,
    answer=schemas.SessionSchema,
    problems=(SESSION_STOPPED, SLOT_PAST, DOCTOR_BUSY, PATIENTS_BUSY),
)
def move_slot(call: Call[Health]) -> Answer:
    return _session_answer(
        actions.move_slot(
            call.parts.database,
            staff_of(call),
            call.path["session_id"],
            call.revision,
            _slot_number(call.path["slot"]),
            minutes_of(call.body["start"]),
        )
    )


def _slot_number(written: str) -> int:
    if not (written.isascii() and written.isdigit() and len(written) <= 3):
        raise Refused(NOT_FOUND)
    return int(written)
