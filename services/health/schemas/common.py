"""What several of health's schemas hold: what days and hours are, and the ids of the examples."""

from shared.language import Words

LOCAL_DAY = Words("北京时间的日期", "A day, in China's time")
LOCAL_TIME = Words("北京时间，24 小时制", "An hour of the day, in China's time")

HOSPITAL_ID = "lzu-first"
DEPARTMENT_ID = "department_019a8f5b2c3d7e8f9a0b1c2d3e4f5060"
DOCTOR_ID = "doctor_019a8f5b2c3d7e8f9a0b1c2d3e4f5061"
SESSION_ID = f"{DOCTOR_ID}.20260504.0800"
APPOINTMENT_ID = "appointment_019a8f5b2c3d7e8f9a0b1c2d3e4f5062"
