"""What health refuses, beyond what any service does."""

from services.health.domain import TO_COME_MAX
from shared.errors import Problem

DESK_OPEN = Problem("desk-open", 409, "该医院已开通预约", "The hospital takes appointments already")
TOO_MANY_SESSIONS = Problem(
    "too-many-sessions",
    409,
    "该科室当日门诊场次已达上限",
    "The department can have no more sessions on that day",
)
DOCTOR_BUSY = Problem(
    "doctor-busy", 409, "该医生此时段已有门诊", "The doctor has another session at that time"
)
SESSION_STOPPED = Problem("session-stopped", 409, "该场门诊已停诊", "The session has been stopped")
NOT_OPEN_YET = Problem("not-open-yet", 409, "尚未开始放号", "Booking has not opened yet")
SLOT_GONE = Problem(
    "slot-gone", 409, "该时段不存在或已调整", "The session has no slot at that time, or no longer"
)
SLOT_PAST = Problem("slot-past", 409, "该时段已开始或已过", "The slot has begun or is over")
FULLY_BOOKED = Problem("fully-booked", 409, "该时段已约满", "The slot is fully booked")
BOOKED_ALREADY = Problem(
    "booked-already",
    409,
    "就诊人当日已预约该科室",
    "The patient has an appointment with this department on that day",
)
TIME_TAKEN = Problem(
    "time-taken",
    409,
    "就诊人此时段已有其他预约",
    "The patient has another appointment at that time",
)
PATIENTS_BUSY = Problem(
    "patients-busy",
    409,
    "部分就诊人在新时段另有预约",
    "Patients of the slot have other appointments at the new time",
)
TOO_MANY = Problem(
    "too-many-appointments",
    409,
    f"待就诊的预约不能超过 {TO_COME_MAX} 个",
    f"At most {TO_COME_MAX} appointments can be booked ahead",
)
BARRED = Problem(
    "barred",
    409,
    "因多次爽约，暂停在该医院预约",
    "Too many missed appointments: the hospital takes no booking for now",
)
TOO_LATE = Problem(
    "too-late-to-cancel",
    409,
    "已过可取消时间",
    "It is too late to cancel the appointment",
)
NOT_BOOKED = Problem(
    "not-booked", 409, "该预约已不是待就诊状态", "The appointment is no longer waiting"
)
NOT_TODAY = Problem(
    "not-today", 409, "只能在就诊当日报到", "Check-in is on the appointment's own day"
)
NOT_OVER = Problem(
    "not-over", 409, "该时段尚未结束", "The slot is not over: the patient may still come"
)
