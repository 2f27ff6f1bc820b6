"""Holding places, confirming, giving back, and coming in."""

from collections.abc import Sequence

from services.tourism import domain
from services.tourism.actions.closing import call_off
from services.tourism.actions.keepers import Keeper, kept
from services.tourism.actions.places import (
    day_counts,
    expire,
    give_back,
    put_session,
    release_day,
    release_expired,
    told,
)
from shared.auth.acting import Actor, note
from shared.errors import NOT_FOUND, Refused
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
)
from shared.times import instant


def hold_places(
    database: Database,
    citizen: str,
    claim: Claim,
    session_id: str,
    visitors: Sequence[str],
    actor: Actor | None = None,
) -> Committed[Document]:
    """Hold a place for each visitor, all or none, until the hold expires.

    Raises Refused(NO_SESSION, SOLD_OUT, DAY_FULL, CLOSED, OVER, NOT_ON_SALE, HAS_TICKET,
    TOO_MANY_HOLDS).
    """
    domain.check_visitors(visitors)

    def change(tx: Transaction) -> Document:
        session = tx.get("sessions", session_id)
        if session is None:
            raise Refused(domain.NO_SESSION, detail={"session_id": session_id})
        product = tx.require("products", session.body["product"]).body
        operator = tx.require("operators", session.body["attraction"]).body
        domain.check_open(session.body, product, tx.now_ms)
        _check_few_holds(tx, citizen)
        release_expired(tx, session, len(visitors))
        for place, visitor in enumerate(visitors):
            _check_free_day(tx, session, visitor, place)
        if domain.is_full(day_counts(tx, session.body), operator["daily_max"], len(visitors)):
            release_day(tx, session)
        day = day_counts(tx, session.body)
        domain.hold(session.body, day, operator["daily_max"], len(visitors))
        put_session(tx, session, day)
        booking_id = tx.new_id("booking")
        body = domain.new_booking(citizen, session_id, session.body, product, visitors, tx.now_ms)
        note(body, "held", actor)
        for key in domain.visit_keys(body, body["tickets"]):
            tx.put("visits", key, {"booking": booking_id})
        return tx.put("bookings", booking_id, body)

    return database.transact_once(claim, change)


def _check_few_holds(tx: Transaction, citizen: str) -> None:
    """Raise TOO_MANY_HOLDS; what has expired counts no more, whether it was let go or not."""
    still_held = (tx.now_ms + 1, "")
    holds = tx.find("holds_by_citizen", (citizen,), after=still_held, limit=domain.HOLDS_MAX)
    if len(holds) == domain.HOLDS_MAX:
        until = instant(holds[0].document.body["held_until_ms"])
        raise Refused(domain.TOO_MANY_HOLDS, detail={"next_free_at": until})


def _check_free_day(tx: Transaction, session: Document, visitor: str, place: int) -> None:
    """Raise HAS_TICKET, unless what the visitor has is let go: a hold that expired, or the unused
    ticket of a closed session, whose bookings may not all be called off yet.
    """
    key = domain.visit_key(session.body, visitor)
    visit = tx.get("visits", key)
    if visit is None:
        return
    other = tx.require("bookings", visit.body["booking"])
    if domain.is_expired(other.body, tx.now_ms):
        expire(tx, other, session)
    elif "taking" in other.body and other.body["taking"] != session.key:
        theirs = tx.require("sessions", other.body["taking"])
        if theirs.body["state"] == "closed":
            call_off(tx, other, theirs)
    if tx.get("visits", key) is not None:
        raise domain.has_ticket(place)


def confirm_booking(
    database: Database, citizen: str, booking_id: str, claim: Claim, actor: Actor | None = None
) -> Committed[Document]:
    """Turn a citizen's own hold into tickets.

    Raises Refused(NOT_HELD, OVER, EXPIRED, CLOSED).
    """

    def change(tx: Transaction) -> Document:
        booking = _own(tx.require("bookings", booking_id), citizen)
        session = tx.require("sessions", booking.body["session"])
        domain.confirm(booking.body, session.body, tx.now_ms)
        tx.put("sessions", session.key, session.body)
        note(booking.body, "confirmed", actor)
        tx.emit("booking.confirmed", told(booking, actor))
        return tx.put("bookings", booking_id, booking.body)

    return database.transact_once(claim, change)


def cancel_booking(
    database: Database, citizen: str, booking_id: str, claim: Claim, actor: Actor | None = None
) -> Committed[Document]:
    """Give a citizen's own places back, whole. Raises Refused(NOT_REFUNDABLE)."""

    def change(tx: Transaction) -> Document:
        booking = _own(tx.require("bookings", booking_id), citizen)
        session = tx.require("sessions", booking.body["session"])
        domain.check_refundable(booking.body, session.body, tx.now_ms)
        note(booking.body, "cancelled", actor)
        give_back(tx, booking, session, "cancelled")
        tx.emit("booking.cancelled", told(booking, actor))
        return tx.require("bookings", booking_id)

    return database.transact_once(claim, change)


def read_booking(
    database: Database, citizen: str, booking_id: str, freshness: Freshness = FRESH
) -> Committed[Document]:
    """A citizen's own booking."""
    found = database.read_one("bookings", booking_id, freshness)
    _own(found.value, citizen)
    return found


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
        kept(tx, keeper, booking.body["attraction"], gate=True)
        session = tx.require("sessions", booking.body["session"])
        day = day_counts(tx, session.body)
        domain.admit(booking.body, number, session.body, day, tx.now_ms, visitor, keeper.subject)
        put_session(tx, session, day)
        return tx.put("bookings", booking_id, booking.body)

    return database.transact_once(claim, change)


def _own(booking: Document, citizen: str) -> Document:
    if booking.body["citizen"] != citizen:
        raise Refused(NOT_FOUND)
    return booking
