"""What health tells people of its events; `shared.notices.mapping` says by which rules.

A notice says that an appointment is, and when. Not with whom nor where: the name of a hospital or a
department tells of an illness. It does not even say that it is one with a hospital.
"""

from collections.abc import Callable

from shared.language import Words
from shared.notices.mapping import Happening, Notice, Notices, Tell, moment, silent


def _booked(when: Words) -> Words:
    return Words(
        f"您已预约{when.zh}，详情请见“智慧甘肃”。",
        f"Your appointment on {when.en} is booked. Smart Gansu has the details.",
    )


def _called_off(when: Words) -> Words:
    return Words(
        f"很抱歉，您{when.zh}的预约已被取消，详情请见“智慧甘肃”。",
        f"We are sorry: your appointment on {when.en} is called off. Smart Gansu has the details.",
    )


def _moved(when: Words) -> Words:
    return Words(
        f"您的预约时间已改为{when.zh}，详情请见“智慧甘肃”。",
        f"Your appointment has been moved to {when.en}. Smart Gansu has the details.",
    )


def _may_decline(when: Words) -> Words:
    return Words(
        f"您的预约时间已改为{when.zh}，如有不便可在此前取消，详情请见“智慧甘肃”。",
        f"Your appointment has been moved to {when.en}. If it does not suit you, you can cancel it"
        " until then. Smart Gansu has the details.",
    )


def _given_up(when: Words) -> Words:
    return Words(
        f"您{when.zh}的预约已由代办人取消，详情请见“智慧甘肃”。",
        f"Your appointment on {when.en} was cancelled by somebody who acts for you."
        " Smart Gansu has the details.",
    )


def _telling(words: Callable[[Words], Words]) -> Tell:
    """Tells the account that booked, which is who can act on it."""

    def tell(happening: Happening) -> Notice:
        appointment = happening.document("appointments", happening.data["appointment"])
        return Notice(appointment["account"], words(moment(appointment["start_ms"])))

    return tell


def _cancelled(happening: Happening) -> Notice | None:
    """Told where somebody else did it: who cancels an appointment has the answer."""
    return _telling(_given_up)(happening) if "acted_by" in happening.data else None


def _rescheduled(happening: Happening) -> Notice | None:
    """Who is there already can decline no more."""
    appointment = happening.document("appointments", happening.data["appointment"])
    return _telling(_may_decline if appointment["state"] == "booked" else _moved)(happening)


NOTICES: Notices = {
    "appointment.booked": _telling(_booked),
    "appointment.called_off": _telling(_called_off),
    "appointment.moved": _rescheduled,
    "appointment.cancelled": _cancelled,
    # At the desk before the patient, or a matter for the desk alone.
    "appointment.checked_in": silent,
    "appointment.missed": silent,
}
