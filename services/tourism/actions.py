"""One function for each thing a client can want of tourism, one transaction each.

People are subjects, visitors are digests (`shared.auth.subjects`). What a caller may not see is
NOT_FOUND, so that nobody learns what exists.

Whoever writes to a session first lets go of holds on it that have expired.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from services.tourism import domain
from services.tourism.domain import Pattern, Window
from shared.errors import NOT_FOUND, STALE, Refused
from shared.storage.access import (
    FRESH,
    Claim,
    Committed,
    Database,
    Document,
    Freshness,
    Hit,
    Position,
    ReadView,
    Transaction,
    View,
    recent,
)
from shared.storage.catalogue import Body
from shared.times import day_of

PUBLIC = recent(1.0)
"""Calendars and crowds may be a second old; nothing is decided on them."""

RELEASED_MAX = 20
"""Expired holds that one write lets go: each frees a place, and nobody asks for more than five."""

CANCELLED_MAX = 50
"""Bookings that one transaction cancels when a session is closed; there may be thousands."""

SESSIONS_LISTED_MAX = 1000
"""Of one product in a month, of one attraction on a day."""


@dataclass(frozen=True, slots=True)
class Keeper:
    """Who acts on an attraction: one of its staff or gates, or an operator of the platform."""

    subject: str
    operator: bool = False


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a session's capacity was asked to be, and the session as it is."""

    asked: Document
    session: Body


@dataclass(frozen=True, slots=True)
class Crowd:
    """An attraction on one day. `daily_max` is None where nobody keeps the attraction here."""

    day: str
    booked: int
    admitted: int
    daily_max: int | None
    thresholds: tuple[int, ...]
    sample: bool


# Samples


def plant_operator(database: Database, attraction: str, operator: Body) -> Committed[bool]:
    """Let an attraction be kept by `staff` and `gates`, with at most `daily_max` visitors a day.
    False where it is already.
    """

    def change(tx: Transaction) -> bool:
        if tx.get("operators", attraction) is not None:
            return False
        tx.put("operators", attraction, {**operator, "sample": True})
        return True

    return database.transact(change)


def plant_product(
    database: Database,
    product_id: str,
    product: Body,
    days: Sequence[date],
    windows: Sequence[Window],
) -> Committed[int]:
    """Put a sample product there, and its sessions of these days; how many sessions are new."""
    pattern = [(day, window) for day in days for window in windows]

    def change(tx: Transaction) -> int:
        if tx.get("products", product_id) is None:
            tx.put("products", product_id, {**product, "sample": True})
        return sum(_open(tx, product_id, product, day, window) for day, window in pattern)

    return database.transact(change)


# Products and sessions


def list_products(
    database: Database,
    attraction: str,
    *,
    limit: int,
    after: Position | None,
    freshness: Freshness = PUBLIC,
) -> Committed[list[Hit]]:
    """The ticket products of an attraction."""

    def query(view: ReadView) -> list[Hit]:
        return view.find("products_by_attraction", (attraction,), limit=limit, after=after)

    return database.read(query, freshness)


def read_product(
    database: Database, product_id: str, freshness: Freshness = PUBLIC
) -> Committed[Document]:
    """A ticket product."""
    return database.read(lambda view: view.require("products", product_id), freshness)


def read_session(
    database: Database, session_id: str, freshness: Freshness = PUBLIC
) -> Committed[Document]:
    """A session, as everyone may see it."""
    return database.read(lambda view: view.require("sessions", session_id), freshness)


def list_sessions(
    database: Database, product_id: str, first: str, last: str, freshness: Freshness = PUBLIC
) -> Committed[list[Body]]:
    """The sessions of a product on the days from `first` to `last`, in order of time."""

    def query(view: ReadView) -> list[Body]:
        view.require("products", product_id)
        hits = view.find(
            "sessions_by_product",
            (product_id,),
            limit=SESSIONS_LISTED_MAX,
            after=(first, -1, ""),
            until=last,
        )
        return [hit.document.body for hit in hits]

    return database.read(query, freshness)


def list_own_sessions(
    database: Database,
    keeper: Keeper,
    attraction: str,
    day: str,
    *,
    limit: int,
    after: Position | None,
    freshness: Freshness = FRESH,
) -> Committed[list[Hit]]:
    """All sessions of a day at the keeper's attraction, in order of time."""

    def query(view: ReadView) -> list[Hit]:
        _kept(view, keeper, attraction)
        return view.find("sessions_by_attraction", (attraction, day), limit=limit, after=after)

    return database.read(query, freshness)


def open_sessions(
    database: Database, keeper: Keeper, product_id: str, claim: Claim, pattern: Pattern
) -> Committed[Document]:
    """Open the sessions of a pattern; one that is there already stays as it is."""

    def change(tx: Transaction) -> Document:
        product = tx.require("products", product_id).body
        _kept(tx, keeper, product["attraction"])
        domain.check_pattern(pattern, day_of(tx.now_ms))
        wanted = [(day, window) for day in pattern.days() for window in pattern.windows]
        opened = sum(_open(tx, product_id, product, day, window) for day, window in wanted)
        body = {"product": product_id, "opened": opened, "kept": len(wanted) - opened}
        return tx.put("openings", tx.new_id("opening"), body)

    return database.transact_once(claim, change)


def _open(tx: Transaction, product_id: str, product: Body, day: date, window: Window) -> bool:
    """Whether the session was not there before."""
    key = domain.session_key(product_id, day, window.start)
    if tx.get("sessions", key) is not None:
        return False
    tx.put("sessions", key, domain.new_session(product_id, product, day, window))
    tx.put("capacities", key, {"requested": window.capacity})
    return True


def read_capacity(
    database: Database, keeper: Keeper, session_id: str, freshness: Freshness = FRESH
) -> Committed[Capacity]:
    """The capacity of a session, for those who keep it."""

    def query(view: ReadView) -> Capacity:
        session = _kept_session(view, keeper, session_id)
        return Capacity(view.require("capacities", session_id), session.body)

    return database.read(query, freshness)


def change_capacity(
    database: Database, keeper: Keeper, session_id: str, revision: int, wanted: int
) -> Committed[Capacity]:
    """Give a session as many places as are wanted, or as many as are taken where that is more."""

    def change(tx: Transaction) -> Capacity:
        session = _kept_session(tx, keeper, session_id)
        if tx.require("capacities", session_id).revision != revision:
            raise Refused(STALE)
        _release_expired(tx, session)
        domain.set_capacity(session.body, wanted)
        tx.put("sessions", session_id, session.body)
        tx.emit("session.cap_changed", {"session": session_id})
        return Capacity(tx.put("capacities", session_id, {"requested": wanted}), session.body)

    return database.transact(change)


def close_session(
    database: Database, keeper: Keeper, session_id: str, claim: Claim
) -> Committed[Document]:
    """Cancel a session; its bookings are cancelled behind it, some at a time.

    The answer is the session as it was closed. Whoever was stopped in the middle repeats the
    request, and the rest is cancelled then.
    """

    def change(tx: Transaction) -> Document:
        session = _kept_session(tx, keeper, session_id)
        domain.close(session.body)
        tx.emit("session.cancelled", {"session": session_id})
        return tx.put("sessions", session_id, session.body)

    closed = database.transact_once(claim, change)
    while database.transact(lambda tx: _cancel_some(tx, session_id)).value:
        pass
    return closed


def _cancel_some(tx: Transaction, session_id: str) -> int:
    """Cancel some bookings of a closed session; how many."""
    hits = tx.find("taking_by_session", (session_id,), limit=CANCELLED_MAX)
    if hits:
        session = tx.require("sessions", session_id)
        for hit in hits:
            _give_back(tx, hit.document, session, "cancelled")
            tx.emit("booking.cancelled", _told(hit.document))
        tx.put("sessions", session_id, session.body)
    return len(hits)


def read_crowd(
    database: Database, attraction: str, day: str, freshness: Freshness = PUBLIC
) -> Committed[Crowd]:
    """How many booked and came on a day."""

    def query(view: ReadView) -> Crowd:
        operator = view.get("operators", attraction)
        found = view.get("days", f"{attraction}.{day}")
        counts = domain.new_day() if found is None else found.body
        kept = {} if operator is None else operator.body
        thresholds = tuple(kept.get("thresholds", domain.THRESHOLDS))
        return Crowd(
            day,
            counts["booked"],
            counts["admitted"],
            kept.get("daily_max"),
            thresholds,
            kept.get("sample", False),
        )

    return database.read(query, freshness)


# Bookings


def hold_places(
    database: Database, citizen: str, claim: Claim, session_id: str, visitors: Sequence[str]
) -> Committed[Document]:
    """Hold a place for each visitor, all or none, until the hold expires.

    Raises Refused(NO_SESSION, SOLD_OUT, DAY_FULL, CLOSED, OVER, NOT_ON_SALE, HAS_TICKET).
    """
    domain.check_visitors(visitors)

    def change(tx: Transaction) -> Document:
        session = tx.get("sessions", session_id)
        if session is None:
            raise Refused(domain.NO_SESSION, detail={"session_id": session_id})
        product = tx.require("products", session.body["product"]).body
        operator = tx.require("operators", session.body["attraction"]).body
        domain.check_open(session.body, product, tx.now_ms)
        _release_expired(tx, session)
        for place, visitor in enumerate(visitors):
            _check_free_day(tx, session, visitor, place)
        if domain.is_full(_day(tx, session.body), operator["daily_max"], len(visitors)):
            _release_day(tx, session)
        day = _day(tx, session.body)
        domain.hold(session.body, day, operator["daily_max"], len(visitors))
        _put_session(tx, session, day)
        booking_id = tx.new_id("booking")
        body = domain.new_booking(citizen, session_id, session.body, product, visitors, tx.now_ms)
        for key in domain.visit_keys(body):
            tx.put("visits", key, {"booking": booking_id})
        return tx.put("bookings", booking_id, body)

    return database.transact_once(claim, change)


def _check_free_day(tx: Transaction, session: Document, visitor: str, place: int) -> None:
    """Raise HAS_TICKET, unless what the visitor has is a hold that expired: that is let go."""
    visit = tx.get("visits", domain.visit_key(session.body, visitor))
    if visit is None:
        return
    other = tx.require("bookings", visit.body["booking"])
    if not domain.is_expired(other.body, tx.now_ms):
        raise domain.has_ticket(place)
    _expire(tx, other, session)


def _release_expired(tx: Transaction, session: Document) -> None:
    """Let go of expired holds on a session, which the caller puts."""
    hits = tx.find("holds_by_session", (session.key,), until=tx.now_ms, limit=RELEASED_MAX)
    for hit in hits:
        _give_back(tx, hit.document, session, "expired")


def _release_day(tx: Transaction, session: Document) -> None:
    """Let go of expired holds on any session of the same day and attraction."""
    where = (session.body["attraction"], session.body["day"])
    for hit in tx.find("holds_by_day", where, until=tx.now_ms, limit=RELEASED_MAX):
        _expire(tx, hit.document, session)


def _expire(tx: Transaction, booking: Document, session: Document) -> None:
    """Let go of an expired hold; `session`, in the caller's hands, may be its own or another."""
    key = booking.body["session"]
    theirs = session if key == session.key else tx.require("sessions", key)
    _give_back(tx, booking, theirs, "expired")


def _give_back(tx: Transaction, booking: Document, session: Document, state: str) -> None:
    day = _day(tx, session.body)
    domain.give_back(booking.body, session.body, day, state)
    _put_session(tx, session, day)
    for key in domain.visit_keys(booking.body):
        tx.delete("visits", key)
    tx.put("bookings", booking.key, booking.body)


def _day(tx: Transaction, session: Body) -> Body:
    found = tx.get("days", domain.day_key(session))
    return domain.new_day() if found is None else found.body


def _put_session(tx: Transaction, session: Document, day: Body) -> None:
    tx.put("sessions", session.key, session.body)
    tx.put("days", domain.day_key(session.body), day)


def confirm_booking(
    database: Database, citizen: str, booking_id: str, claim: Claim
) -> Committed[Document]:
    """Turn a citizen's own hold into tickets. Raises Refused(EXPIRED, NOT_HELD, CLOSED)."""

    def change(tx: Transaction) -> Document:
        booking = _own_booking(tx, citizen, booking_id)
        session = tx.require("sessions", booking.body["session"])
        domain.confirm(booking.body, session.body, tx.now_ms)
        tx.put("sessions", session.key, session.body)
        tx.emit("booking.confirmed", _told(booking))
        return tx.put("bookings", booking_id, booking.body)

    return database.transact_once(claim, change)


def cancel_booking(
    database: Database, citizen: str, booking_id: str, claim: Claim
) -> Committed[Document]:
    """Give a citizen's own places back, whole. Raises Refused(NOT_REFUNDABLE)."""

    def change(tx: Transaction) -> Document:
        booking = _own_booking(tx, citizen, booking_id)
        session = tx.require("sessions", booking.body["session"])
        domain.check_refundable(booking.body, session.body, tx.now_ms)
        _give_back(tx, booking, session, "cancelled")
        tx.emit("booking.cancelled", _told(booking))
        return tx.require("bookings", booking_id)

    return database.transact_once(claim, change)


def _told(booking: Document) -> Body:
    """What an event says: whom it is for, and where to read the rest."""
    return {
        "booking": booking.key,
        "citizen": booking.body["citizen"],
        "session": booking.body["session"],
    }


def read_booking(
    database: Database, citizen: str, booking_id: str, freshness: Freshness = FRESH
) -> Committed[Document]:
    """A citizen's own booking."""
    return database.read(lambda view: _own_booking(view, citizen, booking_id), freshness)


def list_bookings(
    database: Database,
    citizen: str,
    *,
    limit: int,
    after: Position | None,
    freshness: Freshness = FRESH,
) -> Committed[list[Hit]]:
    """A citizen's own bookings, newest first."""

    def query(view: ReadView) -> list[Hit]:
        return view.find(
            "bookings_by_citizen", (citizen,), limit=limit, after=after, descending=True
        )

    return database.read(query, freshness)


def admit(
    database: Database, keeper: Keeper, ticket_id: str, claim: Claim, visitor: str | None
) -> Committed[Document]:
    """Let the visitor of a ticket in at the keeper's attraction; the booking.

    Raises Refused(USED, NOT_VALID, NOT_NOW, OTHER_VISITOR).
    """
    booking_id, number = domain.ticket_named(ticket_id)

    def change(tx: Transaction) -> Document:
        booking = tx.require("bookings", booking_id)
        if number >= len(booking.body["tickets"]):
            raise Refused(NOT_FOUND)
        _kept(tx, keeper, booking.body["attraction"], gate=True)
        session = tx.require("sessions", booking.body["session"])
        day = _day(tx, session.body)
        domain.admit(booking.body, number, session.body, day, tx.now_ms, visitor)
        _put_session(tx, session, day)
        return tx.put("bookings", booking_id, booking.body)

    return database.transact_once(claim, change)


# What a caller may touch


def _own_booking(view: View, citizen: str, booking_id: str) -> Document:
    booking = view.require("bookings", booking_id)
    if booking.body["citizen"] != citizen:
        raise Refused(NOT_FOUND)
    return booking


def _kept_session(view: View, keeper: Keeper, session_id: str) -> Document:
    session = view.require("sessions", session_id)
    _kept(view, keeper, session.body["attraction"])
    return session


def _kept(view: View, keeper: Keeper, attraction: str, *, gate: bool = False) -> None:
    """Raise NOT_FOUND for who does not work there; gates may only do what is a gate's."""
    operator = view.require("operators", attraction).body
    theirs = [*operator["staff"], *(operator["gates"] if gate else ())]
    if keeper.subject not in theirs and not keeper.operator:
        raise Refused(NOT_FOUND)
