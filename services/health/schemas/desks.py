"""Hospitals, their desks, departments and doctors as JSON."""

from typing import ClassVar

from services.health.schemas.common import DEPARTMENT_ID, DOCTOR_ID, HOSPITAL_ID
from shared.language import Language, Words, local
from shared.places import Place
from shared.schemas import (
    COUNTY,
    DIVISION,
    LOCAL_NAME,
    PLACE,
    SAMPLE,
    Choice,
    Example,
    Flag,
    Items,
    PageQuery,
    Schema,
    Text,
    Whole,
)
from shared.storage.access import Document
from shared.storage.catalogue import Body

GRADES = ("3A", "3B", "3C", "2A", "2B", "2C", "1A", "1B", "1C")
"""Levels and classes of hospitals: 三级甲等 is 3A."""


class HospitalQuery(PageQuery):
    q = Text(60, required=False, doc=Words("中文或英文", "Chinese or English"), example="兰州")
    division = Text(6, pattern=DIVISION, required=False, doc=PLACE, example="620100")
    grade = Choice(*GRADES, required=False, doc=Words("等级", "Level and class"))


class HospitalSchema(Schema):
    EXAMPLE: ClassVar[Example] = {
        "id": HOSPITAL_ID,
        "name": "兰州大学第一医院",
        "name_zh": "兰州大学第一医院",
        "name_en": "The First Hospital of Lanzhou University",
        "division": "620102",
        "prefecture": "620100",
        "grade": "3A",
    }

    id = Text(100)
    name = Text(200, doc=LOCAL_NAME)
    name_zh = Text(100)
    name_en = Text(200)
    division = Text(6, pattern=DIVISION, doc=COUNTY)
    prefecture = Text(6, pattern=DIVISION)
    grade = Text(
        2,
        nullable=True,
        doc=Words("等级；无可靠来源时为 null", "Level and class, null where no source is sure"),
    )


class HospitalsSchema(Schema):
    items = Items(HospitalSchema, PageQuery.LIMIT_MAX)
    after = Text(1024, nullable=True)


def hospital_json(hospital: Place, language: Language) -> Body:
    body = hospital.body
    members = ("name_zh", "name_en", "division", "prefecture", "grade")
    return {
        "id": hospital.id,
        "name": local(body, "name", language),
        **{member: body[member] for member in members},
    }


# Desks

_LIMITS: Example = {"cancel_hours": 24, "no_shows_max": 3, "no_show_days": 180, "barred_days": 90}


class LimitsSchema(Schema):
    EXAMPLE: ClassVar[Example] = _LIMITS

    cancel_hours = Whole(
        0, 168, doc=Words("就诊前多少小时可取消", "Until so many hours before one can cancel")
    )
    no_shows_max = Whole(
        1, 20, doc=Words("爽约多少次后暂停预约", "After so many no-shows one is barred")
    )
    no_show_days = Whole(1, 366, doc=Words("在多少天内累计", "… if they are within so many days"))
    barred_days = Whole(1, 366, doc=Words("暂停多少天", "… for so many days after the last"))


class DeskSchema(LimitsSchema):
    EXAMPLE: ClassVar[Example] = {**_LIMITS, "hospital_id": HOSPITAL_ID, "sample": False}

    hospital_id = Text(100)
    sample = Flag(doc=SAMPLE)


def desk_json(desk: Document) -> Body:
    limits = {member: desk.body[member] for member in _LIMITS}
    return {"hospital_id": desk.key, **limits, "sample": desk.body.get("sample", False)}


class MemberSchema(Schema):
    EXAMPLE: ClassVar[Example] = {"account": "hospital-lzu-first", "active": True}

    account = Text(
        128, doc=Words("身份服务的账号；不予保存", "An account of the issuer's; it is not kept")
    )
    active = Flag(doc=Words("是否在岗", "Whether the person works at the desk"))


class MembershipSchema(Schema):
    EXAMPLE: ClassVar[Example] = {"hospital_id": HOSPITAL_ID, "active": True}

    hospital_id = Text(100)
    active = Flag()


def membership_json(member: Document) -> Body:
    return {"hospital_id": member.body["hospital"], "active": member.body["active"]}


# Departments and doctors


class NewDepartmentSchema(Schema):
    EXAMPLE: ClassVar[Example] = {"name_zh": "内科", "name_en": "Internal medicine"}

    name_zh = Text(60)
    name_en = Text(100, minimum=0, required=False, default="")


class DepartmentSchema(Schema):
    EXAMPLE: ClassVar[Example] = {
        "id": DEPARTMENT_ID,
        "hospital_id": HOSPITAL_ID,
        "name": "内科",
        "name_zh": "内科",
        "name_en": "Internal medicine",
        "sample": False,
    }

    id = Text(100)
    hospital_id = Text(100)
    name = Text(100, doc=LOCAL_NAME)
    name_zh = Text(60)
    name_en = Text(100, minimum=0)
    sample = Flag(doc=SAMPLE)


class DepartmentsSchema(Schema):
    items = Items(DepartmentSchema, PageQuery.LIMIT_MAX)
    after = Text(1024, nullable=True)


class NewDoctorSchema(NewDepartmentSchema):
    EXAMPLE: ClassVar[Example] = {"name_zh": "示例医生 01", "name_en": "Sample doctor 01"}


class DoctorSchema(DepartmentSchema):
    EXAMPLE: ClassVar[Example] = {
        "id": DOCTOR_ID,
        "hospital_id": HOSPITAL_ID,
        "department_id": DEPARTMENT_ID,
        "name": "示例医生 01",
        "name_zh": "示例医生 01",
        "name_en": "Sample doctor 01",
        "sample": True,
    }

    department_id = Text(100)


class DoctorsSchema(Schema):
    items = Items(DoctorSchema, PageQuery.LIMIT_MAX)
    after = Text(1024, nullable=True)


def department_json(department: Document, language: Language) -> Body:
    body = department.body
    return {
        "id": department.key,
        "hospital_id": body["hospital"],
        "name": local(body, "name", language),
        "name_zh": body["name_zh"],
        "name_en": body["name_en"],
        "sample": body.get("sample", False),
    }


def doctor_json(doctor: Document, language: Language) -> Body:
    return {**department_json(doctor, language), "department_id": doctor.body["department"]}
