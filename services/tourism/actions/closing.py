"""Closing a session: it is closed at once, and its bookings are called off behind it.

There may be thousands of them, so that is some at a time. Until none is left the session says since
when it is `closing`: whoever was stopped in the middle, the rest is done by whoever asks again, or
by the service itself (`upkeep`).
"""

from services.tourism import domain
from services.tourism.actions.keepers import Keeper, kept_session
from services.tourism.actions.places import give_back, told
from shared.errors import Refused
from shared.storage.access import Claim, Committed, Database, Document, ReadView, Transaction

CALLED_OFF_MAX = 50
"""Bookings that one transaction calls off."""


def close_session(
    database: Database, keeper: Keeper, session_id: str, claim: Claim
) -> Committed[Document]:
    """Close a session that is not over, with all its bookings; the session as it was closed.

    Raises Refused(CLOSED, OVER). Who is refused because it is closed already has still done what
    was left to do.
    """

    def change(tx: Transaction) -> Document:
        session = kept_session(tx, keeper, session_id)
        domain.close(session.body, tx.now_ms)
        tx.emit("session.cancelled", {"session": session_id, "by": keeper.subject})
        return tx.put("sessions", session_id, session.body)

    try:
        closed = database.transact_once(claim, change)
    except Refused as refused:
        if refused.problem is domain.CLOSED:
            _call_off_all(database, session_id)
        raise
    _call_off_all(database, session_id)
    return closed


def _call_off_all(database: Database, session_id: str) -> None:
    while database.transact(lambda tx: _call_off_some(tx, session_id)).value:
        pass


def any_closing(view: ReadView) -> bool:
    """Whether a closed session may still have bookings."""
    return view.find("sessions_closing", (), limit=1) != []


def call_off_some(tx: Transaction) -> None:
    """Call off some bookings of the session that has been closing for longest."""
    for hit in tx.find("sessions_closing", (), limit=1):
        _call_off_some(tx, hit.document.key)


def _call_off_some(tx: Transaction, session_id: str) -> bool:
    """Call off some bookings of a closed session; whether there may be more."""
    session = tx.require("sessions", session_id)
    hits = tx.find("taking_by_session", (session_id,), limit=CALLED_OFF_MAX)
    for hit in hits:
        call_off(tx, hit.document, session)
    if len(hits) == CALLED_OFF_MAX:
        return True
    if session.body.pop("closing_ms", None) is not None:
        tx.put("sessions", session_id, session.body)
    return False


def call_off(tx: Transaction, booking: Document, session: Document) -> None:
    """Give back what a booking takes of a closed session, and tell whoever counted on it."""
    if domain.is_expired(booking.body, tx.now_ms):
        give_back(tx, booking, session, "expired")
        return
    void = domain.unused(booking.body)
    give_back(tx, booking, session, "cancelled")
    if booking.body["state"] == "cancelled":
        tx.emit("booking.cancelled", told(booking))
    elif void:
        tx.emit("booking.partly_cancelled", told(booking))
