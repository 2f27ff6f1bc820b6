"""Tourism: what ticket products, sessions and bookings are, and which changes are allowed.

Pure Python on plain documents. Each function takes bodies as they stand, and either changes them
or raises `Refused` with one of the problems declared here.

The law of a session: free + held + sold = capacity, none below zero, at every entry. Holding takes
places from free, confirming moves them on to sold, cancelling and expiring give them back. The
capacity is what the attraction's staff asked for, or what is held and sold where that is more: what
is given back then is not sold again. A day of an attraction counts the places that all its sessions
have held or sold (`booked`), and who came in.

A visitor is a keyed digest of an identity document's number; neither number nor name is kept. What
staff and gates change says by whom (a subject) in the journal, and in no answer or notice.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from shared.errors import NOT_FOUND, FieldError, Problem, Refused, invalid
from shared.storage.catalogue import Archive, Body, Catalogue, Collection, Conserved, Index
from shared.times import (
    DAY_MS,
    MINUTE_MS,
    clock_of,
    day_of,
    days_within,
    instant,
    midnight_ms,
)

VISITORS_MAX = 5
CAPACITY_MAX = 20_000
PATTERN_DAYS_MAX = 62
WINDOWS_MAX = 12
SESSIONS_MAX = 200
"""Sessions that are opened at once."""
DAY_SESSIONS_MAX = 24 * 60
"""Sessions of one product on one day: no two start in the same minute."""
HOLDS_MAX = 10
"""Holds that one account can have at once: nobody keeps a session from others without tickets."""

CATALOGUE = Catalogue(
    # Who works at an attraction, and how many may visit it in a day; by the attraction's id.
    Collection("operators"),
    Collection("products", indexes=(Index("products_by_attraction", ("attraction",)),)),
    Collection(
        "sessions",
        indexes=(
            Index("sessions_by_product", ("product", "day", "start")),
            Index("sessions_by_attraction", ("attraction", "day", "start")),
            # Only one that is closed and may have bookings left is `closing`, and says since when.
            Index("sessions_closing", ("closing_ms",)),
        ),
        conserved=Conserved("capacity", ("free", "held", "sold")),
    ),
    Collection(
        "bookings",
        indexes=(
            Index("bookings_by_citizen", ("citizen",)),
            # Only a hold says until when it is held: nothing else stands in these four.
            Index("holds_by_citizen", ("citizen", "held_until_ms")),
            Index("holds_by_session", ("session", "held_until_ms")),
            Index("holds_by_day", ("attraction", "day", "held_until_ms")),
            Index("holds_by_time", ("held_until_ms",)),
            # Only what holds or has bought a place that it can give back is `taking` it.
            Index("taking_by_session", ("taking",)),
        ),
        archive=Archive(since="ends_ms", list="bookings_by_citizen"),
    ),
    # One for each person, attraction and day, under a key of the three: nobody has two tickets.
    Collection("visits"),
    Collection("days"),
    # What staff asked a session's capacity to be: it changes with their decisions alone, so that
    # an If-Match on it is not made stale by every booking. `by` is who asked, once it was changed.
    Collection("capacities"),
    # What staff asked for when they opened sessions, and who it was (`by`).
    Collection("openings"),
)

STATES = ("held", "confirmed", "cancelled", "expired")
DOCUMENTS = ("resident_id", "passport")
LEVELS = ("green", "yellow", "orange", "red", "full")
"""How crowded it is; yellow, orange and red as in LB/T 068-2017, clause 5."""

THRESHOLDS = (80, 90, 95, 100)
"""Percent of the approved daily maximum from which the next level holds, where an attraction has
no others: LB/T 068-2017, clauses 5.2 to 5.4; at 100 the sale stops."""

NO_SESSION = Problem("no-such-session", 409, "没有此场次", "There is no such session")
SOLD_OUT = Problem("no-places-left", 409, "余票不足", "Not enough places left")
DAY_FULL = Problem("day-full", 409, "当日已达最大承载量", "The attraction is full on that day")
CLOSED = Problem("session-closed", 409, "该场次已取消", "The session has been cancelled")
OVER = Problem("session-over", 409, "该场次已结束", "The session is over")
NOT_ON_SALE = Problem("not-on-sale-yet", 409, "尚未开售", "Not on sale yet")
HAS_TICKET = Problem(
    "has-ticket-already",
    409,
    "该证件当日已预订此景区",
    "This document has a ticket for that day already",
)
TOO_MANY_HOLDS = Problem(
    "too-many-holds",
    409,
    f"未确认的预留不能超过 {HOLDS_MAX} 个",
    f"At most {HOLDS_MAX} bookings can wait to be confirmed",
)
EXPIRED = Problem("hold-expired", 409, "预留已过期，请重新预订", "The hold has expired; book again")
NOT_HELD = Problem("not-held", 409, "该预订不在预留状态", "The booking is not held")
NOT_REFUNDABLE = Problem("not-refundable", 409, "该预订已不能退票", "It can no longer be refunded")
NOT_VALID = Problem("ticket-not-valid", 409, "该票无效", "The ticket is not valid")
NOT_NOW = Problem("outside-entry-window", 409, "不在入园时段内", "Outside the entry window")
USED = Problem("ticket-used", 409, "该票已检", "The ticket has been used")
OTHER_VISITOR = Problem(
    "another-visitor", 409, "证件与购票人不符", "The document is not that of the ticket's visitor"
)


@dataclass(frozen=True, slots=True)
class Window:
    """A time of entry: minutes since midnight in Gansu, and how many may come."""

    start: int
    end: int
    capacity: int


@dataclass(frozen=True, slots=True)
class Pattern:
    """Windows on some weekdays (1 is Monday, ISO 8601) from one day to another, both included."""

    first: date
    last: date
    weekdays: frozenset[int]
    windows: tuple[Window, ...]

    def days(self) -> list[date]:
        return days_within(self.first, self.last, self.weekdays)


def check_pattern(pattern: Pattern, today: date) -> None:
    """Raise Refused(INVALID) for days that are past, in disorder, too many or none."""
    if pattern.first < today:
        raise invalid("first_day", "不能早于今天", "may not be before today")
    if not 0 <= (pattern.last - pattern.first).days < PATTERN_DAYS_MAX:
        raise invalid(
            "last_day",
            f"须在起始日之后，且不超过 {PATTERN_DAYS_MAX} 天",
            f"has to be within {PATTERN_DAYS_MAX} days of first_day",
        )
    if not pattern.days():
        raise invalid("weekdays", "日期范围内没有这些星期", "do not occur between the two dates")
    if any(window.start >= window.end for window in pattern.windows):
        raise invalid("windows", "结束须晚于开始", "have to end after they start")
    starts = {window.start for window in pattern.windows}
    if len(starts) < len(pattern.windows):
        raise invalid("windows", "开始时间不能重复", "may not start at the same time")
    if len(pattern.days()) * len(pattern.windows) > SESSIONS_MAX:
        raise invalid(
            "windows", f"一次最多 {SESSIONS_MAX} 场", f"make more than {SESSIONS_MAX} sessions"
        )


def session_key(product: str, day: date, start: int) -> str:
    """The one id that a session of that product, day and time can have."""
    return f"{product}.{day:%Y%m%d}.{clock_of(start).replace(':', '')}"


def new_session(product_id: str, product: Body, day: date, window: Window) -> Body:
    """A session with all its places free."""
    return {
        "product": product_id,
        "attraction": product["attraction"],
        "day": day.isoformat(),
        "start": window.start,
        "end": window.end,
        "capacity": window.capacity,
        "free": window.capacity,
        "held": 0,
        "sold": 0,
        "admitted": 0,
        "state": "open",
    }


def begins_ms(session: Body) -> int:
    return midnight_ms(date.fromisoformat(session["day"])) + int(session["start"]) * MINUTE_MS


def ends_ms(session: Body) -> int:
    return midnight_ms(date.fromisoformat(session["day"])) + int(session["end"]) * MINUTE_MS


def on_sale_ms(session: Body, product: Body) -> int:
    """When its sale opens: at midnight, so many days ahead as the product says."""
    day = midnight_ms(date.fromisoformat(session["day"]))
    return day - int(product["days_ahead"]) * DAY_MS


# Holding, confirming, giving back


def check_open(session: Body, product: Body, now_ms: int) -> None:
    """Raise CLOSED, OVER or NOT_ON_SALE where nobody can book now."""
    if session["state"] != "open":
        raise Refused(CLOSED)
    check_not_over(session, now_ms)
    if now_ms < on_sale_ms(session, product):
        raise Refused(NOT_ON_SALE, detail={"on_sale_at": instant(on_sale_ms(session, product))})


def available(session: Body, product: Body, room: int, now_ms: int) -> int:
    """How many places of a session can be booked now, at an attraction whose day has `room`."""
    on_sale = on_sale_ms(session, product) <= now_ms < ends_ms(session)
    return min(session["free"], room) if session["state"] == "open" and on_sale else 0


def check_not_over(session: Body, now_ms: int) -> None:
    """Raise OVER."""
    if now_ms >= ends_ms(session):
        raise Refused(OVER, detail={"ended_at": instant(ends_ms(session))})


def check_visitors(visitors: Sequence[str]) -> None:
    """Raise Refused(INVALID) on a visitor who stands twice in one booking."""
    for place, visitor in enumerate(visitors):
        if visitor in visitors[:place]:
            field = f"visitors.{place}.document"
            raise invalid(field, "证件重复", "is the document of another visitor here")


def has_ticket(place: int) -> Refused:
    """The refusal of a visitor who has a ticket for that day."""
    field = FieldError(
        f"visitors.{place}.document", "当日已有此景区门票", "has a ticket for that day already"
    )
    return Refused(HAS_TICKET, fields=(field,))


def is_full(day: Body, daily_max: int, places: int) -> bool:
    """Whether so many more would be too many for the attraction's day."""
    return int(day["booked"]) + places > daily_max


def hold(session: Body, day: Body, daily_max: int, places: int) -> None:
    """Set places aside. Raises SOLD_OUT, DAY_FULL."""
    if session["free"] < places:
        raise Refused(SOLD_OUT, detail={"available": session["free"]})
    if is_full(day, daily_max, places):
        raise Refused(DAY_FULL, detail={"available": max(0, daily_max - day["booked"])})
    session["free"] -= places
    session["held"] += places
    day["booked"] += places


def new_booking(
    citizen: str,
    session_id: str,
    session: Body,
    product: Body,
    visitors: Sequence[str],
    now_ms: int,
) -> Body:
    """A booking that holds a place for each visitor, at the price of the moment (fen), until its
    session ends at the latest.
    """
    return {
        "citizen": citizen,
        "session": session_id,
        "taking": session_id,
        "product": session["product"],
        "attraction": session["attraction"],
        "day": session["day"],
        "start": session["start"],
        "end": session["end"],
        "ends_ms": ends_ms(session),
        "state": "held",
        "price": product["price"],
        "placed_ms": now_ms,
        "held_until_ms": min(now_ms + product["hold_minutes"] * MINUTE_MS, ends_ms(session)),
        "tickets": [{"visitor": visitor, "admitted_ms": 0} for visitor in visitors],
    }


def is_expired(booking: Body, now_ms: int) -> bool:
    """Whether it is a hold whose time has come."""
    return booking["state"] == "held" and now_ms >= int(booking["held_until_ms"])


def confirm(booking: Body, session: Body, now_ms: int) -> None:
    """Turn a hold into tickets. Raises NOT_HELD, OVER, EXPIRED, CLOSED.

    An expired hold is refused even where its place is still there: what was told has to hold.
    """
    if booking["state"] not in {"held", "expired"}:
        raise Refused(NOT_HELD, detail={"state": booking["state"]})
    # Before what says that one may book again.
    check_not_over(session, now_ms)
    if booking["state"] == "expired" or is_expired(booking, now_ms):
        raise Refused(EXPIRED)
    if session["state"] != "open":
        raise Refused(CLOSED)
    places = len(booking["tickets"])
    session["held"] -= places
    session["sold"] += places
    booking["state"] = "confirmed"
    del booking["held_until_ms"]


def check_refundable(booking: Body, session: Body, now_ms: int) -> None:
    """Raise NOT_REFUNDABLE for what is not held or confirmed, was used, or has begun."""
    state = "expired" if is_expired(booking, now_ms) else booking["state"]
    began = now_ms >= begins_ms(session) and state == "confirmed"
    used = any(ticket["admitted_ms"] for ticket in booking["tickets"])
    if state not in {"held", "confirmed"} or used or began:
        raise Refused(NOT_REFUNDABLE, detail={"state": state})


def unused(booking: Body) -> list[Body]:
    """The tickets that nobody has come in with."""
    return [ticket for ticket in booking["tickets"] if not ticket["admitted_ms"]]


def give_back(booking: Body, session: Body, day: Body, state: str) -> None:
    """End what a booking takes: the places of its unused tickets become free.

    One that somebody came in with stays what it is, and only its unused tickets are void: who has
    been there counts in the day's maximum whatever becomes of the session.
    """
    given = unused(booking)
    session["held" if booking["state"] == "held" else "sold"] -= len(given)
    session["free"] += len(given)
    day["booked"] -= len(given)
    if len(given) == len(booking["tickets"]):
        booking["state"] = state
    else:
        for ticket in given:
            ticket["void"] = True
    del booking["taking"]
    booking.pop("held_until_ms", None)


# What staff do


def set_capacity(session: Body, requested: int) -> None:
    """Change how many places there are, to no fewer than are held and sold. Raises CLOSED."""
    if session["state"] != "open":
        raise Refused(CLOSED)
    fit(session, requested)


def fit(session: Body, requested: int) -> None:
    """Let a session have as many places as staff asked for, or as many as are taken where that is
    more: what is given back comes nearer to what was asked, and is not sold again.
    """
    taken = session["held"] + session["sold"]
    session["capacity"] = max(requested, taken)
    session["free"] = session["capacity"] - taken


def close(session: Body, now_ms: int) -> None:
    """Let nobody book or come in any more. Raises CLOSED where that is so already, OVER."""
    if session["state"] != "open":
        raise Refused(CLOSED)
    check_not_over(session, now_ms)
    session["state"] = "closed"
    session["closing_ms"] = now_ms


def ticket_key(booking_id: str, number: int) -> str:
    return f"{booking_id}.{number}"


def ticket_named(ticket_id: str) -> tuple[str, int]:
    """A ticket's booking, and its place there. Raises Refused(NOT_FOUND) for what is no ticket."""
    booking_id, _, number = ticket_id.rpartition(".")
    if not booking_id or number not in {str(place) for place in range(VISITORS_MAX)}:
        raise Refused(NOT_FOUND)
    return booking_id, int(number)


def admit(
    booking: Body,
    number: int,
    session: Body,
    day: Body,
    now_ms: int,
    visitor: str | None,
    by: str,
) -> None:
    """Let a ticket's visitor in, once; `by` is who did. Raises USED with the time of the first
    admission, NOT_VALID, NOT_NOW, OTHER_VISITOR.
    """
    ticket = booking["tickets"][number]
    if visitor is not None and visitor != ticket["visitor"]:
        raise Refused(OTHER_VISITOR)
    if ticket["admitted_ms"]:
        raise Refused(USED, detail={"admitted_at": instant(ticket["admitted_ms"])})
    if booking["state"] != "confirmed" or session["state"] != "open":
        raise Refused(NOT_VALID, detail={"state": booking["state"]})
    if not begins_ms(session) <= now_ms < ends_ms(session):
        window = {"from": instant(begins_ms(session)), "until": instant(ends_ms(session))}
        raise Refused(NOT_NOW, detail=window)
    ticket |= {"admitted_ms": now_ms, "admitted_by": by}
    session["admitted"] += 1
    day["admitted"] += 1


# Crowds


def new_day() -> Body:
    return {"booked": 0, "admitted": 0}


def crowd_level(admitted: int, daily_max: int, thresholds: Sequence[int]) -> str:
    """The level for so many visitors: `thresholds` are percent of the approved daily maximum, one
    for each level above green.
    """
    reached = sum(admitted * 100 >= percent * daily_max for percent in thresholds)
    return LEVELS[reached]


def visit_keys(booking: Body, tickets: Iterable[Body]) -> Iterable[str]:
    """The keys under which the visitors of some of a booking's tickets have their day."""
    return (visit_key(booking, ticket["visitor"]) for ticket in tickets)


def visit_key(placed: Body, visitor: str) -> str:
    """The key of a visitor's day at the attraction of a session or booking."""
    return f"{placed['attraction']}.{placed['day']}.{visitor}"


def day_key(placed: Body) -> str:
    return f"{placed['attraction']}.{placed['day']}"


def today(now_ms: int) -> str:
    return day_of(now_ms).isoformat()
