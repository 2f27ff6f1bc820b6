"""Places given back: expired holds, and the counts of session and day.

Whoever writes to a session lets go of its expired holds first, so nobody is refused a place that is
free. `let_go` does it too when nobody writes, so that a session which looks full does not stay so.
"""

from services.tourism import domain
from shared.auth import acting
from shared.auth.acting import Actor
from shared.storage.access import Document, ReadView, Transaction
from shared.storage.catalogue import Body

RELEASED_MAX = 20
"""Expired holds that are let go at once: each frees a place, unless staff asked for fewer than are
taken, and nobody asks for more than five."""
ROUNDS_MAX = 5
"""How often so many are let go for one who asks for places."""


def release_expired(tx: Transaction, session: Document, wanted: int = 0) -> None:
    """Let go of some expired holds on a session, which the caller puts, and of more where that
    leaves fewer than `wanted` places free.
    """
    for _ in range(ROUNDS_MAX):
        hits = tx.find("holds_by_session", (session.key,), until=tx.now_ms, limit=RELEASED_MAX)
        for hit in hits:
            give_back(tx, hit.document, session, "expired")
        if len(hits) < RELEASED_MAX or session.body["free"] >= wanted:
            return


def any_expired(view: ReadView, now_ms: int) -> bool:
    return view.find("holds_by_time", (), until=now_ms, limit=1) != []


def let_go(tx: Transaction) -> None:
    """Let go of the longest expired holds on any sessions."""
    for hit in tx.find("holds_by_time", (), until=tx.now_ms, limit=RELEASED_MAX):
        session = tx.require("sessions", hit.document.body["session"])
        give_back(tx, hit.document, session, "expired")


def release_day(tx: Transaction, session: Document) -> None:
    """Let go of expired holds on any session of the same day and attraction."""
    where = (session.body["attraction"], session.body["day"])
    for hit in tx.find("holds_by_day", where, until=tx.now_ms, limit=RELEASED_MAX):
        expire(tx, hit.document, session)


def expire(tx: Transaction, booking: Document, session: Document) -> None:
    """Let go of an expired hold; `session`, in the caller's hands, may be its own or another."""
    key = booking.body["session"]
    theirs = session if key == session.key else tx.require("sessions", key)
    give_back(tx, booking, theirs, "expired")


def give_back(tx: Transaction, booking: Document, session: Document, state: str) -> None:
    """Let go of what a booking takes of `session`; visitors of unused tickets may book anew."""
    day = day_counts(tx, session.body)
    domain.give_back(booking.body, session.body, day, state)
    domain.fit(session.body, tx.require("capacities", session.key).body["requested"])
    put_session(tx, session, day)
    for key in domain.visit_keys(booking.body, domain.unused(booking.body)):
        tx.delete("visits", key)
    tx.put("bookings", booking.key, booking.body)


def day_counts(tx: Transaction, session: Body) -> Body:
    found = tx.get("days", domain.day_key(session))
    return domain.new_day() if found is None else found.body


def put_session(tx: Transaction, session: Document, day: Body) -> None:
    tx.put("sessions", session.key, session.body)
    tx.put("days", domain.day_key(session.body), day)


def told(booking: Document, actor: Actor | None = None) -> Body:
    """What an event says: whom it is for, who acted, and where to read the rest."""
    return {
        "booking": booking.key,
        "citizen": booking.body["citizen"],
        "session": booking.body["session"],
        **acting.told(actor),
    }
