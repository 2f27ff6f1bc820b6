"""Hospitals, desks, departments and doctors over HTTP."""

from services.health.actions import desks as actions
from services.health.actions.keepers import PUBLIC
from services.health.domain.problems import DESK_OPEN
from services.health.routes.parts import (
    NOTICE_BOARD,
    OPERATOR,
    REFERENCE,
    STAFF,
    Health,
    new_router,
    staff_of,
)
from services.health.schemas import desks as schemas
from services.health.schemas.desks import (
    department_json,
    desk_json,
    doctor_json,
    hospital_json,
    membership_json,
)
from shared.language import Words
from shared.schemas import PageQuery
from shared.storage.access import Committed, Document
from shared.web.routes import Answer, Call

router = new_router()


@router.route(
    "GET /v1/hospitals",
    Words("按名称、地区、等级查医院", "Find hospitals by name, place or grade"),
    public=REFERENCE,
    query=schemas.HospitalQuery,
    answer=schemas.HospitalsSchema,
)
def search_hospitals(call: Call[Health]) -> Answer:
    query, page, parts = call.query, call.page, call.parts
    members = parts.divisions.within(query["division"]) if "division" in query else {}
    if "grade" in query:
        members = {**members, "grade": query["grade"]}
    found = parts.hospitals.search(query.get("q", ""), members, limit=page.fetch, after=page.after)
    return page.answer(Committed(found, 0), lambda place: hospital_json(place, call.language))


@router.route(
    "GET /v1/hospitals/{hospital_id}",
    Words("一家医院", "One hospital"),
    public=REFERENCE,
    answer=schemas.HospitalSchema,
)
def read_hospital(call: Call[Health]) -> Answer:
    hospital = call.parts.hospitals.require(call.path["hospital_id"])
    return Answer(hospital_json(hospital, call.language))


# Desks


@router.route(
    "GET /v1/hospitals/{hospital_id}/desk",
    Words("医院的预约规则", "A hospital's limits for appointments"),
    public=NOTICE_BOARD,
    answer=schemas.DeskSchema,
)
def read_desk(call: Call[Health]) -> Answer:
    return _desk_answer(
        actions.read_desk(call.parts.database, call.path["hospital_id"], call.freshness(PUBLIC))
    )


@router.route(
    "POST /v1/hospitals/{hospital_id}/desk",
    Words("为医院开通预约", "Let a hospital take appointments"),
    scope="schedules:write",
    roles=OPERATOR,
    body=schemas.LimitsSchema,
    answer=schemas.DeskSchema,
    problems=(DESK_OPEN,),
)
def open_desk(call: Call[Health]) -> Answer:
    hospital = call.parts.hospitals.require(call.path["hospital_id"])
    made = actions.open_desk(
        call.parts.database, staff_of(call), hospital.id, call.claim, call.body
    )
    return _desk_answer(made)


@router.route(
    "PUT /v1/hospitals/{hospital_id}/desk",
    Words("修改医院的预约规则", "Change a hospital's limits for appointments"),
    scope="schedules:write",
    roles=STAFF,
    body=schemas.LimitsSchema,
    answer=schemas.DeskSchema,
)
def change_limits(call: Call[Health]) -> Answer:
    changed = actions.change_limits(
        call.parts.database, staff_of(call), call.path["hospital_id"], call.revision, call.body
    )
    return _desk_answer(changed)


def _desk_answer(found: Committed[Document]) -> Answer:
    return Answer(desk_json(found.value), found.seq, found.value.revision)


@router.route(
    "POST /v1/hospitals/{hospital_id}/staff",
    Words("指定或撤销医院的工作人员", "Let somebody work at a hospital's desk, or no longer"),
    scope="schedules:write",
    roles=OPERATOR,
    body=schemas.MemberSchema,
    answer=schemas.MembershipSchema,
)
def set_member(call: Call[Health]) -> Answer:
    subject = call.parts.subject_of(call.body["account"])
    made = actions.set_member(
        call.parts.database,
        staff_of(call),
        call.path["hospital_id"],
        call.claim,
        subject,
        active=call.body["active"],
    )
    return Answer(membership_json(made.value), made.seq, made.value.revision)


# Departments and doctors


@router.route(
    "GET /v1/hospitals/{hospital_id}/departments",
    Words("医院的科室", "A hospital's departments"),
    public=NOTICE_BOARD,
    query=PageQuery,
    answer=schemas.DepartmentsSchema,
)
def list_departments(call: Call[Health]) -> Answer:
    found = actions.list_departments(
        call.parts.database,
        call.parts.hospitals.require(call.path["hospital_id"]).id,
        limit=call.page.fetch,
        after=call.page.after,
        freshness=call.freshness(PUBLIC),
    )
    return call.page.answer(found, lambda hit: department_json(hit.document, call.language))


@router.route(
    "POST /v1/hospitals/{hospital_id}/departments",
    Words("增设科室", "Open a department"),
    scope="schedules:write",
    roles=STAFF,
    body=schemas.NewDepartmentSchema,
    answer=schemas.DepartmentSchema,
)
def add_department(call: Call[Health]) -> Answer:
    made = actions.add_department(
        call.parts.database, staff_of(call), call.path["hospital_id"], call.claim, call.body
    )
    answer = _department_answer(call, made)
    answer.location = f"/health/v1/departments/{made.value.key}"
    return answer


@router.route(
    "GET /v1/departments/{department_id}",
    Words("一个科室", "One department"),
    public=NOTICE_BOARD,
    answer=schemas.DepartmentSchema,
)
def read_department(call: Call[Health]) -> Answer:
    found = actions.read_department(
        call.parts.database, call.path["department_id"], call.freshness(PUBLIC)
    )
    return _department_answer(call, found)


def _department_answer(call: Call[Health], found: Committed[Document]) -> Answer:
    return Answer(department_json(found.value, call.language), found.seq, found.value.revision)


@router.route(
    "GET /v1/departments/{department_id}/doctors",
    Words("科室的医生", "A department's doctors"),
    public=NOTICE_BOARD,
    query=PageQuery,
    answer=schemas.DoctorsSchema,
)
def list_doctors(call: Call[Health]) -> Answer:
    found = actions.list_doctors(
        call.parts.database,
        call.path["department_id"],
        limit=call.page.fetch,
        after=call.page.after,
        freshness=call.freshness(PUBLIC),
    )
    return call.page.answer(found, lambda hit: doctor_json(hit.document, call.language))


@router.route(
    "POST /v1/departments/{department_id}/doctors",
    Words("增加医生", "Add a doctor"),
    scope="schedules:write",
    roles=STAFF,
    body=schemas.NewDoctorSchema,
    answer=schemas.DoctorSchema,
)
def add_doctor(call: Call[Health]) -> Answer:
    made = actions.add_doctor(
        call.parts.database, staff_of(call), call.path["department_id"], call.claim, call.body
    )
    answer = _doctor_answer(call, made)
    answer.location = f"/health/v1/doctors/{made.value.key}"
    return answer


@router.route(
    "GET /v1/doctors/{doctor_id}",
    Words("一位医生", "One doctor"),
    public=NOTICE_BOARD,
    answer=schemas.DoctorSchema,
)
def read_doctor(call: Call[Health]) -> Answer:
    found = actions.read_doctor(call.parts.database, call.path["doctor_id"], call.freshness(PUBLIC))
    return _doctor_answer(call, found)


def _doctor_answer(call: Call[Health], found: Committed[Document]) -> Answer:
    return Answer(doctor_json(found.value, call.language), found.seq, found.value.revision)
