"""Appointments, what a patient may have of them, and what a desk's limits say.

A desk's limits: an appointment can be cancelled until `cancel_hours` before it begins; whoever
missed `no_shows_max` of them within `no_show_days` is barred for `barred_days` after the last.
What the hospital moved can be declined until it begins, and bars nobody (docs/decisions/0054).
"""

from collections.abc import Iterable, Sequence

from services.health.domain import ABSENCES_MAX
from services.health.domain.problems import (
    BARRED,
    BOOKED_ALREADY,
    NOT_BOOKED,
    NOT_OVER,
    NOT_TODAY,
    TIME_TAKEN,
    TOO_LATE,
)
from services.health.domain.schedules import end_ms
from shared.errors import Problem, Refused
from shared.storage.access import Document
from shared.storage.catalogue import Body
from shared.times import DAY_MS, HOUR_MS, day_of, instant


def new_appointment(
    patient: str, session: Document, number: int, cancel_hours: int, now_ms: int
) -> Body:
    """An appointment in a session's slot, a patient's own. It keeps the limit under which it was
    booked.
    """
    body = session.body
    slot = body["slots"][number]
    return {
        "account": patient,
        "patient": patient,
        "hospital": body["hospital"],
        "department": body["department"],
        "doctor": body["doctor"],
        "session": session.key,
        "slot": number,
        "state": "booked",
        "date": body["date"],
        "start_ms": slot["start_ms"],
        "end_ms": end_ms(body, slot),
        "cancel_hours": cancel_hours,
        "booked_ms": now_ms,
    }


def cancel_until_ms(appointment: Body) -> int:
    """The last moment at which the patient can still cancel."""
    promised = appointment["start_ms"] - appointment["cancel_hours"] * HOUR_MS
    until: int = appointment.get("decline_until_ms", promised)
    return until


def move(appointment: Body, start_ms: int, end_ms: int) -> None:
    """Give it another hour, as the hospital wants it.

    The patient, who did not choose that hour, may decline until it begins, and never less long than
    before.
    """
    appointment["decline_until_ms"] = max(cancel_until_ms(appointment), start_ms)
    appointment["start_ms"], appointment["end_ms"] = start_ms, end_ms


def counts(appointment: Body) -> bool:
    """Whether missing it can bar the patient: only where the hospital never moved it."""
    return "decline_until_ms" not in appointment


def check_booked(appointment: Body) -> None:
    """Raise Refused(NOT_BOOKED) for an appointment that is cancelled or that was settled."""
    if appointment["state"] != "booked":
        raise Refused(NOT_BOOKED, detail={"state": appointment["state"]})


def cancel(appointment: Body, now_ms: int) -> None:
    """Cancel as a patient may. Raises Refused(NOT_BOOKED, TOO_LATE)."""
    check_booked(appointment)
    until = cancel_until_ms(appointment)
    if now_ms > until:
        raise Refused(TOO_LATE, detail={"cancel_until": instant(until)})
    appointment["state"] = "cancelled"


def check_in(appointment: Body, now_ms: int) -> None:
    """The patient is there, perhaps after all. Raises Refused(NOT_BOOKED, NOT_TODAY)."""
    if appointment["state"] != "no_show":
        check_booked(appointment)
    if day_of(now_ms).isoformat() != appointment["date"]:
        raise Refused(NOT_TODAY, detail={"date": appointment["date"]})
    appointment["state"] = "checked_in"


def is_over(appointment: Body, now_ms: int) -> bool:
    """Whether its slot has ended; from then on a desk can only say whether the patient came."""
    return bool(appointment["end_ms"] <= now_ms)


def is_to_be_seen(appointment: Body, now_ms: int) -> bool:
    """Whether the patient is still to be seen: before the slot's end, or its beginning where the
    patient has checked in and may be with the doctor since.
    """
    until = {"booked": "end_ms", "checked_in": "start_ms"}.get(appointment["state"])
    return until is not None and bool(now_ms < appointment[until])


def miss(appointment: Body, now_ms: int) -> None:
    """The patient did not come. Raises Refused(NOT_BOOKED, NOT_OVER)."""
    check_booked(appointment)
    if not is_over(appointment, now_ms):
        raise Refused(NOT_OVER, detail={"ends_at": instant(appointment["end_ms"])})
    appointment["state"] = "no_show"


# A patient's day


def entry_of(appointment_id: str, appointment: Body) -> Body:
    """An appointment as the patient's day lists it."""
    return {
        "appointment": appointment_id,
        "account": appointment["account"],
        "department": appointment["department"],
        "start_ms": appointment["start_ms"],
        "end_ms": appointment["end_ms"],
    }


def check_room(day: Sequence[Body], wanted: Body, account: str) -> None:
    """Raise Refused(BOOKED_ALREADY, TIME_TAKEN) where a patient's day has no room for an entry.

    The appointment in the way is named only to the account that booked it.
    """
    for entry in day:
        if entry["department"] == wanted["department"]:
            raise _in_the_way(BOOKED_ALREADY, entry, account)
    for entry in day:
        if overlap(entry, wanted):
            raise _in_the_way(TIME_TAKEN, entry, account)


def overlap(entry: Body, other: Body) -> bool:
    return bool(entry["start_ms"] < other["end_ms"] and other["start_ms"] < entry["end_ms"])


def _in_the_way(problem: Problem, entry: Body, account: str) -> Refused:
    own = entry["account"] == account
    return Refused(problem, detail={"appointment_id": entry["appointment"]} if own else None)


# No-shows


def remembered(missed: Iterable[int], desk: Body, now_ms: int) -> list[int]:
    """Which of these times of missed appointments can still count, oldest first.

    Whom one helps to bar missed the last less than `no_show_days` after it, and is free again
    `barred_days` after that. Nothing older is kept: it tells when somebody needed a doctor.
    """
    since_ms = now_ms - (desk["no_show_days"] + desk["barred_days"]) * DAY_MS
    return sorted(each for each in missed if each > since_ms)[-ABSENCES_MAX:]


def barred_until_ms(missed: Sequence[int], desk: Body) -> int:
    """Until when a patient is barred who missed appointments at these times, oldest first; 0 where
    the limit was never reached.
    """
    needed, within_ms = desk["no_shows_max"], desk["no_show_days"] * DAY_MS
    reached = [
        last
        for first, last in zip(missed, missed[needed - 1 :], strict=False)
        if last - first < within_ms
    ]
    return reached[-1] + desk["barred_days"] * DAY_MS if reached else 0


def check_not_barred(missed: Sequence[int], desk: Body, now_ms: int) -> None:
    """Raise Refused(BARRED), which says until when."""
    until = barred_until_ms(missed, desk)
    if now_ms < until:
        raise Refused(BARRED, detail={"barred_until": instant(until)})
