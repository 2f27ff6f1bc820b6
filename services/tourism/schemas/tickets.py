"""Ticket products, sessions and bookings as JSON."""

from collections.abc import Sequence
from datetime import date
from typing import Any, ClassVar

from services.tourism.actions.calendars import DayPlaces, Offer
from services.tourism.actions.sessions import Capacity
from services.tourism.domain import (
    CAPACITY_MAX,
    DAY_SESSIONS_MAX,
    DOCUMENTS,
    SESSIONS_MAX,
    STATES,
    VISITORS_MAX,
    WINDOWS_MAX,
    Pattern,
    Window,
    begins_ms,
    ends_ms,
    is_expired,
    session_key,
    ticket_key,
)
from shared.auth.acting import Open, acts_json
from shared.errors import invalid
from shared.language import Language, Words, local
from shared.residents import born_of
from shared.schemas import (
    ID,
    LOCAL_NAME,
    SAMPLE,
    Choice,
    Day,
    Example,
    Flag,
    Instant,
    Items,
    MoneySchema,
    PageQuery,
    Part,
    Schema,
    Text,
    TimeOfDay,
    Whole,
    acted_by,
    money,
)
from shared.storage.access import Document
from shared.storage.catalogue import Body
from shared.times import clock_of, instant, minutes_of

MONTH = r"^20[2-9][0-9]-(0[1-9]|1[0-2])$"
GANSU_TIME = Words("甘肃当地时间", "Local time in Gansu")
AVAILABLE = Words("当前可订票数", "Places that can be booked now")
HELD_OR_SOLD = Words("已预留和已售", "Held and sold")
PRODUCT_ID = "sample-mogao-a"
SESSION_ID = "sample-mogao-a.20261201.0830"
BOOKING_ID = "booking_019a8f5b2c3d7e8f9a0b1c2d3e4f5063"


class ProductSchema(Schema):
    id = Text(100, example=PRODUCT_ID)
    attraction_id = Text(100, example="mogao")
    name = Text(100, doc=LOCAL_NAME)
    name_zh = Text(60)
    name_en = Text(100, minimum=0)
    description = Text(1000, minimum=0)
    price = Part(MoneySchema)
    days_ahead = Whole(0, 365, doc=Words("提前几天开售", "Days before, when the sale opens"))
    hold_minutes = Whole(1, 1440, doc=Words("预留分钟数", "For how long places are held"))
    sample = Flag(doc=SAMPLE)


class ProductsSchema(Schema):
    items = Items(ProductSchema, PageQuery.LIMIT_MAX)
    after = Text(1024, nullable=True)


class SessionSchema(Schema):
    """A time of entry on one day."""

    id = Text(100, example=SESSION_ID)
    product_id = Text(100, example=PRODUCT_ID)
    attraction_id = Text(100, example="mogao")
    day = Day(doc=GANSU_TIME, example="2026-12-01")
    start = TimeOfDay(doc=GANSU_TIME, example="08:30")
    end = TimeOfDay(doc=GANSU_TIME, example="10:00")
    starts_at = Instant()
    ends_at = Instant()
    state = Choice("open", "closed")
    capacity = Whole(0, CAPACITY_MAX)
    available = Whole(0, CAPACITY_MAX, doc=AVAILABLE)


class SessionsSchema(Schema):
    items = Items(SessionSchema, DAY_SESSIONS_MAX)


class DayQuery(Schema):
    day = Day(doc=GANSU_TIME, example="2026-12-01")


class OwnDayQuery(PageQuery):
    day = Day(doc=GANSU_TIME, example="2026-12-01")


class MonthQuery(Schema):
    month = Text(7, pattern=MONTH, example="2026-12")


class CalendarDaySchema(Schema):
    day = Whole(1, 31)
    sessions = Whole(
        0, DAY_SESSIONS_MAX, doc=Words("未取消的场次", "Sessions, cancelled ones aside")
    )
    available = Whole(0, DAY_SESSIONS_MAX * CAPACITY_MAX, doc=AVAILABLE)


class CalendarSchema(Schema):
    """The days of a month that have sessions."""

    product_id = Text(100, example=PRODUCT_ID)
    month = Text(7, pattern=MONTH, example="2026-12")
    days = Items(CalendarDaySchema, 31)


class OwnSessionSchema(SessionSchema):
    held = Whole(0, CAPACITY_MAX)
    sold = Whole(0, CAPACITY_MAX)
    admitted = Whole(0, CAPACITY_MAX)


class OwnSessionsSchema(Schema):
    items = Items(OwnSessionSchema, PageQuery.LIMIT_MAX)
    after = Text(1024, nullable=True)


# What staff send


class WindowSchema(Schema):
    start = TimeOfDay(doc=GANSU_TIME)
    end = TimeOfDay(doc=GANSU_TIME)
    capacity = Whole(0, CAPACITY_MAX)


class PatternSchema(Schema):
    EXAMPLE: ClassVar[Example] = {
        "first_day": "2026-12-01",
        "last_day": "2026-12-31",
        "weekdays": [1, 2, 3, 4, 5],
        "windows": [{"start": "08:30", "end": "10:00", "capacity": 1500}],
    }

    first_day = Day()
    last_day = Day()
    weekdays = Items(Whole(1, 7), 7, minimum=1, doc=Words("1 为星期一", "1 is Monday (ISO 8601)"))
    windows = Items(WindowSchema, WINDOWS_MAX, minimum=1)


class OpeningSchema(Schema):
    EXAMPLE: ClassVar[Example] = {"product_id": PRODUCT_ID, "opened": 23, "kept": 0}

    product_id = Text(100)
    opened = Whole(0, SESSIONS_MAX, doc=Words("新开场次", "Sessions that are new"))
    kept = Whole(0, SESSIONS_MAX, doc=Words("原有场次，未改动", "Those that stay as they were"))


class NewCapacitySchema(Schema):
    EXAMPLE: ClassVar[Example] = {"capacity": 750}

    capacity = Whole(0, CAPACITY_MAX)


class CapacitySchema(Schema):
    """What a session's capacity was asked to be, and what it is."""

    EXAMPLE: ClassVar[Example] = {
        "session_id": SESSION_ID,
        "requested": 750,
        "effective": 800,
        "taken": 800,
        "outcome": "taken_places_kept",
    }

    session_id = Text(100)
    requested = Whole(0, CAPACITY_MAX)
    effective = Whole(0, CAPACITY_MAX)
    taken = Whole(0, CAPACITY_MAX, doc=HELD_OR_SOLD)
    outcome = Choice(
        "as_requested",
        "taken_places_kept",
        doc=Words(
            "容量不会低于已预留和已售的票", "A capacity does not go below what is held and sold"
        ),
    )


# Bookings


class IdentityDocumentSchema(Schema):
    """Is not kept: what is stored is a keyed digest."""

    kind = Choice(*DOCUMENTS)
    number = Text(20, minimum=5, pattern=r"^[0-9A-Z]{5,20}$", doc=Words("证件号码", "Its number"))


_DOCUMENT: Example = {"kind": "resident_id", "number": "11010519491231002X"}


class VisitorSchema(Schema):
    document = Part(IdentityDocumentSchema)


class NewBookingSchema(Schema):
    EXAMPLE: ClassVar[Example] = {"session_id": SESSION_ID, "visitors": [{"document": _DOCUMENT}]}

    session_id = Text(100, pattern=ID)
    visitors = Items(VisitorSchema, VISITORS_MAX, minimum=1)


class AdmissionSchema(Schema):
    EXAMPLE: ClassVar[Example] = {"document": _DOCUMENT}

    document = Part(
        IdentityDocumentSchema,
        required=False,
        doc=Words("若给出，须为该票的证件", "If given, it has to be that of the ticket"),
    )


class TicketSchema(Schema):
    id = Text(100)
    state = Choice("waiting", "valid", "used", "void")
    admitted_at = Instant(required=False)


class BookingSchema(Schema):
    EXAMPLE: ClassVar[Example] = {
        "id": BOOKING_ID,
        "state": "held",
        "session_id": SESSION_ID,
        "attraction_id": "mogao",
        "day": "2026-12-01",
        "start": "08:30",
        "end": "10:00",
        "total": {"amount": 23_800, "currency": "CNY"},
        "placed_at": "2026-11-20T08:30:00.000Z",
        "held_until": "2026-11-20T08:45:00.000Z",
        "tickets": [{"id": f"{BOOKING_ID}.0", "state": "waiting"}],
    }

    id = Text(100)
    state = Choice(*STATES)
    session_id = Text(100)
    attraction_id = Text(100)
    day = Day()
    start = TimeOfDay()
    end = TimeOfDay()
    total = Part(MoneySchema)
    placed_at = Instant()
    held_until = Instant(required=False)
    tickets = Items(TicketSchema, VISITORS_MAX, minimum=1)
    acted_by = acted_by()


class BookingsSchema(Schema):
    items = Items(BookingSchema, PageQuery.LIMIT_MAX)
    after = Text(1024, nullable=True)


class AdmittedSchema(Schema):
    EXAMPLE: ClassVar[Example] = {
        "ticket_id": f"{BOOKING_ID}.0",
        "session_id": SESSION_ID,
        "admitted_at": "2026-12-01T00:31:00.000Z",
    }

    ticket_id = Text(100)
    session_id = Text(100)
    admitted_at = Instant()


# Out


def product_json(product: Document, language: Language) -> Body:
    body = product.body
    return {
        "id": product.key,
        "attraction_id": body["attraction"],
        "name": local(body, "name", language),
        "name_zh": body["name_zh"],
        "name_en": body["name_en"],
        "description": local(body, "description", language),
        "price": money(body["price"]),
        "days_ahead": body["days_ahead"],
        "hold_minutes": body["hold_minutes"],
        "sample": body.get("sample", False),
    }


def session_json(session: Body, available: int) -> Body:
    day = date.fromisoformat(session["day"])
    return {
        "id": session_key(session["product"], day, session["start"]),
        "product_id": session["product"],
        "attraction_id": session["attraction"],
        "day": session["day"],
        "start": clock_of(session["start"]),
        "end": clock_of(session["end"]),
        "starts_at": instant(begins_ms(session)),
        "ends_at": instant(ends_ms(session)),
        "state": session["state"],
        "capacity": session["capacity"],
        "available": available,
    }


def own_session_json(offer: Offer) -> Body:
    session = offer.session.body
    counts = {name: session[name] for name in ("held", "sold", "admitted")}
    return {**session_json(session, offer.available), **counts}


def calendar_json(product_id: str, month: str, days: Sequence[DayPlaces]) -> Body:
    """A month in at most 2 KB, whatever is in it."""
    shown = [
        {"day": int(each.day[-2:]), "sessions": each.sessions, "available": each.available}
        for each in days
    ]
    return {"product_id": product_id, "month": month, "days": shown}


def capacity_json(session_id: str, capacity: Capacity) -> Body:
    session, requested = capacity.session, capacity.asked.body["requested"]
    kept = session["capacity"] != requested
    return {
        "session_id": session_id,
        "requested": requested,
        "effective": session["capacity"],
        "taken": session["held"] + session["sold"],
        "outcome": "taken_places_kept" if kept else "as_requested",
    }


def opening_json(opening: Document) -> Body:
    body = opening.body
    return {"product_id": body["product"], "opened": body["opened"], "kept": body["kept"]}


def booking_json(booking: Document, now_ms: int, opened: Open) -> Body:
    body = booking.body
    state = "expired" if is_expired(body, now_ms) else body["state"]
    shown: Body = {
        "id": booking.key,
        "state": state,
        "session_id": body["session"],
        "attraction_id": body["attraction"],
        "day": body["day"],
        "start": clock_of(body["start"]),
        "end": clock_of(body["end"]),
        "total": money(body["price"] * len(body["tickets"])),
        "placed_at": instant(body["placed_ms"]),
        "tickets": [
            _ticket_json(booking.key, number, ticket, state)
            for number, ticket in enumerate(body["tickets"])
        ],
        **acts_json(body, opened),
    }
    if state == "held":
        shown["held_until"] = instant(body["held_until_ms"])
    return shown


_TICKET_STATES = {"held": "waiting", "confirmed": "valid", "cancelled": "void", "expired": "void"}


def _ticket_json(booking_id: str, number: int, ticket: Body, state: str) -> Body:
    standing = "void" if ticket.get("void") else _TICKET_STATES[state]
    shown: Body = {"id": ticket_key(booking_id, number), "state": standing}
    if ticket["admitted_ms"]:
        shown |= {"state": "used", "admitted_at": instant(ticket["admitted_ms"])}
    return shown


def admitted_json(booking: Document, ticket_id: str) -> Body:
    ticket = booking.body["tickets"][int(ticket_id.rpartition(".")[2])]
    return {
        "ticket_id": ticket_id,
        "session_id": booking.body["session"],
        "admitted_at": instant(ticket["admitted_ms"]),
    }


# In


def pattern_of(body: Body) -> Pattern:
    windows = [
        Window(minutes_of(row["start"]), minutes_of(row["end"]), row["capacity"])
        for row in body["windows"]
    ]
    first, last = (date.fromisoformat(body[name]) for name in ("first_day", "last_day"))
    return Pattern(first, last, frozenset(body["weekdays"]), tuple(windows))


def check_document(document: Any, today: date, field: str) -> None:
    """Raise Refused(INVALID) for a resident's number that nobody can have."""
    if document["kind"] == "resident_id" and born_of(document["number"], today) is None:
        raise invalid(field, "身份证号码有误", "is no resident identity number")
