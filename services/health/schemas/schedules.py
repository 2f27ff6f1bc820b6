"""Patterns, sessions and availability as JSON."""

from collections.abc import Sequence
from datetime import date
from typing import ClassVar

from services.health.domain import (
    AVAILABILITY_DAYS_MAX,
    PUBLISHED_DAYS_MAX,
    SESSION_STATES,
    SLOT_PLACES_MAX,
    SLOTS_MAX,
)
from services.health.domain.schedules import DayPlaces, Pattern, end_ms, offered
from services.health.schemas.common import (
    DEPARTMENT_ID,
    DOCTOR_ID,
    HOSPITAL_ID,
    LOCAL_DAY,
    LOCAL_TIME,
    SESSION_ID,
)
from shared.language import Words
from shared.schemas import (
    INTEGER_MAX,
    Choice,
    Day,
    Example,
    Instant,
    Items,
    PageQuery,
    QueryWhole,
    Schema,
    Text,
    TimeOfDay,
    Whole,
)
from shared.storage.access import Document
from shared.storage.catalogue import Body
from shared.times import instant, minutes_of


class PatternSchema(Schema):
    EXAMPLE: ClassVar[Example] = {
        "first": "2026-05-04",
        "last": "2026-05-29",
        "weekdays": [1, 3, 5],
        "start": "08:00",
        "end": "11:30",
        "slot_minutes": 30,
        "places": 3,
        "release_days": 7,
        "release_time": "07:00",
    }

    first = Day(doc=LOCAL_DAY)
    last = Day(doc=LOCAL_DAY)
    weekdays = Items(
        Whole(1, 7), 7, minimum=1, doc=Words("1 为星期一，7 为星期日", "1 is Monday, 7 is Sunday")
    )
    start = TimeOfDay(doc=LOCAL_TIME)
    end = TimeOfDay(doc=LOCAL_TIME)
    slot_minutes = Whole(5, 240)
    places = Whole(1, SLOT_PLACES_MAX, doc=Words("每个时段的号数", "Places of each slot"))
    release_days = Whole(
        0, 60, doc=Words("提前多少天放号", "Booking opens so many days before each session")
    )
    release_time = TimeOfDay(doc=LOCAL_TIME)


def pattern_of(body: Body) -> Pattern:
    """The pattern that a body describes."""
    return Pattern(
        first=date.fromisoformat(body["first"]),
        last=date.fromisoformat(body["last"]),
        weekdays=frozenset(body["weekdays"]),
        start_minute=minutes_of(body["start"]),
        end_minute=minutes_of(body["end"]),
        slot_minutes=body["slot_minutes"],
        places=body["places"],
        release_days=body["release_days"],
        release_minute=minutes_of(body["release_time"]),
    )


class PublicationSchema(Schema):
    EXAMPLE: ClassVar[Example] = {
        "id": "publication_019a8f5b2c3d7e8f9a0b1c2d3e4f5063",
        "doctor_id": DOCTOR_ID,
        "made": [SESSION_ID],
        "kept": [],
    }

    id = Text(100)
    doctor_id = Text(100)
    made = Items(
        Text(100), PUBLISHED_DAYS_MAX, doc=Words("新开的场次", "Sessions that are new with it")
    )
    kept = Items(
        Text(100),
        PUBLISHED_DAYS_MAX,
        doc=Words("已有的场次，未作改动", "Sessions that were there already, left as they are"),
    )


def publication_json(publication: Document) -> Body:
    body = publication.body
    return {
        "id": publication.key,
        "doctor_id": body["doctor"],
        "made": body["made"],
        "kept": body["kept"],
    }


# Sessions


class SlotSchema(Schema):
    slot = Whole(0, SLOTS_MAX, doc=Words("时段序号", "The slot's number in its session"))
    starts_at = Instant()
    ends_at = Instant()
    free = Whole(0, SLOT_PLACES_MAX)


_HEAD: Example = {
    "id": SESSION_ID,
    "hospital_id": HOSPITAL_ID,
    "department_id": DEPARTMENT_ID,
    "doctor_id": DOCTOR_ID,
    "date": "2026-05-04",
    "state": "open",
    "opens_at": "2026-04-26T23:00:00.000Z",
    "starts_at": "2026-05-04T00:00:00.000Z",
    "ends_at": "2026-05-04T03:30:00.000Z",
    "free": 20,
}


class SessionHeadSchema(Schema):
    """A session without its slots."""

    EXAMPLE: ClassVar[Example] = _HEAD

    id = Text(100)
    hospital_id = Text(100)
    department_id = Text(100)
    doctor_id = Text(100)
    date = Day(doc=LOCAL_DAY)
    state = Choice(*SESSION_STATES)
    opens_at = Instant(doc=Words("开始放号的时间", "Before it nobody can book"))
    starts_at = Instant()
    ends_at = Instant()
    free = Whole(0, INTEGER_MAX)


class SessionSchema(SessionHeadSchema):
    EXAMPLE: ClassVar[Example] = {
        **_HEAD,
        "slots": [
            {
                "slot": 0,
                "starts_at": "2026-05-04T00:00:00.000Z",
                "ends_at": "2026-05-04T00:30:00.000Z",
                "free": 2,
            }
        ],
    }

    slots = Items(SlotSchema, SLOTS_MAX, minimum=1)


class SessionsSchema(Schema):
    items = Items(SessionHeadSchema, PageQuery.LIMIT_MAX)
    after = Text(1024, nullable=True)


class SessionQuery(PageQuery):
    date = Day(doc=LOCAL_DAY, example="2026-05-04")


def session_head_json(session: Document) -> Body:
    body = session.body
    return {
        "id": session.key,
        "hospital_id": body["hospital"],
        "department_id": body["department"],
        "doctor_id": body["doctor"],
        "date": body["date"],
        "state": body["state"],
        "opens_at": instant(body["release_ms"]),
        "starts_at": instant(min(slot["start_ms"] for slot in body["slots"])),
        "ends_at": instant(max(end_ms(body, slot) for slot in body["slots"])),
        "free": sum(offered(body, slot) for slot in body["slots"]),
    }


def session_json(session: Document) -> Body:
    slots = [
        {
            "slot": number,
            "starts_at": instant(slot["start_ms"]),
            "ends_at": instant(end_ms(session.body, slot)),
            "free": offered(session.body, slot),
        }
        for number, slot in enumerate(session.body["slots"])
    ]
    return {**session_head_json(session), "slots": slots}


class MoveSchema(Schema):
    EXAMPLE: ClassVar[Example] = {"start": "14:00"}

    start = TimeOfDay(doc=LOCAL_TIME)


# Availability


class AvailabilityQuery(Schema):
    first = Day(required=False, doc=Words("默认今天", "Today unless said"))
    days = QueryWhole(1, AVAILABILITY_DAYS_MAX, required=False, default=AVAILABILITY_DAYS_MAX)


class DaySchema(Schema):
    date = Day(doc=LOCAL_DAY)
    free = Whole(0, INTEGER_MAX, doc=Words("现在可约", "Places that can be booked now"))
    places = Whole(0, INTEGER_MAX, doc=Words("未开始时段的总号数", "All places still to come"))
    opens_at = Text(
        24,
        nullable=True,
        doc=Words("尚未放号时，放号时间", "When booking opens, if nothing can be booked yet"),
    )


class AvailabilitySchema(Schema):
    EXAMPLE: ClassVar[Example] = {
        "days": [{"date": "2026-05-04", "free": 20, "places": 21, "opens_at": None}]
    }

    days = Items(DaySchema, AVAILABILITY_DAYS_MAX)


def availability_json(days: Sequence[DayPlaces]) -> Body:
    return {"days": [_day_json(day) for day in days]}


def _day_json(day: DayPlaces) -> Body:
    opens = None if day.opens_ms is None else instant(day.opens_ms)
    return {
        "date": day.day.isoformat(),
        "free": day.free,
        "places": day.places,
        "opens_at": opens,
    }


def first_day(query: Body, today: date) -> date:
    """The day that availability is asked from."""
    return date.fromisoformat(query["first"]) if "first" in query else today
