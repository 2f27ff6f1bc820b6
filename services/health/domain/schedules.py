"""Schedules: patterns that sessions are published by, sessions, and their slots.

A session is one doctor's hours on one day, cut into slots of equal length. Each slot has so many
places, and a start of its own, since it can be moved on its day. Times are milliseconds UTC; dates
and hours are Gansu's.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from services.health.domain import (
    PUBLISHED_DAYS_MAX,
    SESSION_PLACES_MAX,
    SLOTS_MAX,
)
from services.health.domain.problems import (
    DOCTOR_BUSY,
    FULLY_BOOKED,
    NOT_OPEN_YET,
    SESSION_STOPPED,
    SLOT_GONE,
    SLOT_PAST,
)
from shared.errors import Refused, invalid
from shared.storage.catalogue import Body
from shared.times import MINUTE_MS, day_of, days_within, instant, midnight_ms


@dataclass(frozen=True, slots=True)
class Pattern:
    """The same hours on certain weekdays (1 is Monday) from `first` to `last`, both included.

    Booking opens `release_days` before each session's day, at `release_minute`. Minutes count from
    midnight; `places` are those of one slot.
    """

    first: date
    last: date
    weekdays: frozenset[int]
    start_minute: int
    end_minute: int
    slot_minutes: int
    places: int
    release_days: int
    release_minute: int

    @property
    def slots(self) -> int:
        return (self.end_minute - self.start_minute) // self.slot_minutes

    @property
    def days(self) -> list[date]:
        """The days on which the doctor is there."""
        return days_within(self.first, self.last, self.weekdays)


def check_pattern(pattern: Pattern) -> None:
    """Raise Refused(INVALID) on the field that keeps a pattern from being published."""
    if not 0 <= (pattern.last - pattern.first).days < PUBLISHED_DAYS_MAX:
        raise invalid(
            "last",
            f"须在开始日期之后 {PUBLISHED_DAYS_MAX} 天内",
            f"has to be within {PUBLISHED_DAYS_MAX} days from `first`",
        )
    if not pattern.days:
        raise invalid("weekdays", "日期范围内没有这些星期", "do not occur between the two dates")
    hours = pattern.end_minute - pattern.start_minute
    if hours < pattern.slot_minutes or hours % pattern.slot_minutes:
        raise invalid(
            "end", "与开始时间之差须为时段长度的整数倍", "has to be a whole number of slots later"
        )
    if pattern.slots > SLOTS_MAX:
        raise invalid(
            "slot_minutes", f"每场最多 {SLOTS_MAX} 个时段", f"make over {SLOTS_MAX} slots"
        )
    if pattern.slots * pattern.places > SESSION_PLACES_MAX:
        raise invalid(
            "places",
            f"每场最多 {SESSION_PLACES_MAX} 个号",
            f"make over {SESSION_PLACES_MAX} places in a session",
        )
    if pattern.release_days == 0 and pattern.release_minute >= pattern.start_minute:
        raise invalid("release_time", "须早于门诊开始", "has to be before the session begins")


def session_id(doctor_id: str, day: date, start_minute: int) -> str:
    """The id of a doctor's session, so that publishing it again finds it."""
    return f"{doctor_id}.{day:%Y%m%d}.{start_minute // 60:02d}{start_minute % 60:02d}"


def new_session(doctor_id: str, doctor: Body, pattern: Pattern, day: date) -> Body:
    """A pattern's session on one day, all places free."""
    begin = midnight_ms(day)
    return {
        "hospital": doctor["hospital"],
        "department": doctor["department"],
        "doctor": doctor_id,
        "date": day.isoformat(),
        "state": "open",
        "minutes": pattern.slot_minutes,
        "places": pattern.places,
        "release_ms": midnight_ms(day - timedelta(days=pattern.release_days))
        + pattern.release_minute * MINUTE_MS,
        "slots": [
            new_slot(
                begin + (pattern.start_minute + number * pattern.slot_minutes) * MINUTE_MS,
                pattern.places,
            )
            for number in range(pattern.slots)
        ],
    }


def new_slot(start_ms: int, places: int) -> Body:
    return {"start_ms": start_ms, "free": places, "booked": 0, "checked_in": 0, "no_show": 0}


def end_ms(session: Body, slot: Body) -> int:
    """When a slot ends."""
    end: int = slot["start_ms"] + session["minutes"] * MINUTE_MS
    return end


def check_apart(session: Body, others: Iterable[Body]) -> None:
    """Raise Refused(DOCTOR_BUSY) where an open session has a slot at the time of one of these."""
    hours = _hours(session)
    for other in others:
        if other["state"] != "open":
            continue
        for begin, end in _hours(other):
            if any(begin < own_end and own_begin < end for own_begin, own_end in hours):
                raise Refused(
                    DOCTOR_BUSY,
                    detail={"date": session["date"], "busy_from": instant(begin)},
                )


def _hours(session: Body) -> list[tuple[int, int]]:
    """When a session's slots begin and end, neighbours joined."""
    hours: list[tuple[int, int]] = []
    for slot in sorted(session["slots"], key=lambda slot: slot["start_ms"]):
        begin, end = slot["start_ms"], end_ms(session, slot)
        if hours and hours[-1][1] == begin:
            hours[-1] = (hours[-1][0], end)
        else:
            hours.append((begin, end))
    return hours


# Slots


def bookable(session: Body, start_ms: int, now_ms: int) -> int:
    """The number of the slot that starts then, if one can book it now.

    Raises Refused(SESSION_STOPPED, NOT_OPEN_YET, SLOT_GONE, SLOT_PAST). Places are for `take`.
    """
    check_open(session)
    if now_ms < session["release_ms"]:
        raise Refused(NOT_OPEN_YET, detail={"opens_at": instant(session["release_ms"])})
    for number, slot in enumerate(session["slots"]):
        if slot["start_ms"] == start_ms:
            check_future(start_ms, now_ms)
            return number
    raise Refused(SLOT_GONE)


def check_open(session: Body) -> None:
    if session["state"] != "open":
        raise Refused(SESSION_STOPPED)


def check_future(start_ms: int, now_ms: int) -> None:
    if start_ms <= now_ms:
        raise Refused(SLOT_PAST)


def take(slot: Body) -> None:
    """Give a place to a patient. Raises Refused(FULLY_BOOKED)."""
    if slot["free"] < 1:
        raise Refused(FULLY_BOOKED)
    slot["free"] -= 1
    slot["booked"] += 1


def settle(slot: Body, state: str, was: str = "booked") -> None:
    """Let a place become one of another state; a cancelled one is free again."""
    slot[was] -= 1
    slot["free" if state == "cancelled" else state] += 1


def move(session: Body, number: int, start_minute: int, now_ms: int) -> None:
    """Let a slot begin at another minute of its day. Raises Refused(SLOT_PAST, …).

    The doctor's other slots are for `check_apart`, this session's own are looked at here.
    """
    check_open(session)
    slot = session["slots"][number]
    check_future(slot["start_ms"], now_ms)
    begin = midnight_ms(date.fromisoformat(session["date"])) + start_minute * MINUTE_MS
    check_future(begin, now_ms)
    rest = [other for other in session["slots"] if other is not slot]
    slot["start_ms"] = begin
    if day_of(end_ms(session, slot) - 1).isoformat() != session["date"]:
        raise invalid("start", "时段须在当日结束", "leaves the slot no time on its day")
    check_apart({**session, "slots": [slot]}, [{**session, "slots": rest}])


def stop(session: Body, now_ms: int) -> None:
    """Close a session that is not over. Raises Refused(SESSION_STOPPED, SLOT_PAST)."""
    check_open(session)
    check_future(max(end_ms(session, slot) for slot in session["slots"]), now_ms)
    session["state"] = "stopped"


# Availability


def offered(session: Body, slot: Body) -> int:
    """How many of a slot's places are on offer: none of a stopped session, whatever is free."""
    free: int = slot["free"] if session["state"] == "open" else 0
    return free


@dataclass(frozen=True, slots=True)
class DayPlaces:
    """One day as a patient sees it: places that can be booked now, and all the places of slots
    still to come; where none can be booked yet, `opens_ms` is when the first will be.
    """

    day: date
    free: int = 0
    places: int = 0
    opens_ms: int | None = None


def day_places(day: date, sessions: Iterable[Body], now_ms: int) -> DayPlaces:
    """What is free on a day, of all its sessions."""
    free = places = 0
    opening: list[int] = []
    for session in sessions:
        to_come = [slot for slot in session["slots"] if slot["start_ms"] > now_ms]
        if session["state"] != "open" or not to_come:
            continue
        places += len(to_come) * session["places"]
        if session["release_ms"] > now_ms:
            opening.append(session["release_ms"])
        else:
            free += sum(slot["free"] for slot in to_come)
    return DayPlaces(day, free, places, None if free or not opening else min(opening))
