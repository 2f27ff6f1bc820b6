"""What several of health's schemas hold: days, hours, and the ids of the examples."""

from datetime import date

from shared.errors import invalid
from shared.language import Words

DAY = r"^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"
TIME = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
LOCAL_DAY = Words("北京时间的日期", "A day, in China's time")
LOCAL_TIME = Words("北京时间，24 小时制", "An hour of the day, in China's time")

HOSPITAL_ID = "lzu-first"
DEPARTMENT_ID = "department_019a8f5b2c3d7e8f9a0b1c2d3e4f5060"
DOCTOR_ID = "doctor_019a8f5b2c3d7e8f9a0b1c2d3e4f5061"
SESSION_ID = f"{DOCTOR_ID}.20260504.0800"
APPOINTMENT_ID = "appointment_019a8f5b2c3d7e8f9a0b1c2d3e4f5062"


def day_in(field: str, written: str) -> date:
    """The day that a field names. Raises Refused(INVALID) where the calendar has none."""
    try:
        return date.fromisoformat(written)
    except ValueError:
        raise invalid(field, "没有这一天", "is no day of the calendar") from None


def minutes_in(written: str) -> int:
    """Minutes from midnight."""
    return int(written[:2]) * 60 + int(written[3:])
