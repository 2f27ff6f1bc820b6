"""What tourism tells people of its events; `shared.notices.mapping` says by which rules.

Where somebody goes is nobody else's to read: a notice says when, and how many tickets.
"""

from services.tourism import domain
from shared.language import Words
from shared.notices.mapping import Happening, Notice, Notices, moment, silent


def _booking_confirmed(happening: Happening) -> Notice:
    booking = happening.document("bookings", happening.data["booking"])
    entry, tickets = moment(domain.begins_ms(booking)), len(booking["tickets"])
    text = Words(
        f"您已订好{entry.zh}入场的门票{tickets}张，凭证请见“智慧甘肃”。",
        f"Booked: entry on {entry.en}, tickets: {tickets}. Smart Gansu has them.",
    )
    return Notice(booking["citizen"], text)


def _given_back(entry: Words) -> Words:
    return Words(
        f"您{entry.zh}入场的预订已由代办人取消，详情请见“智慧甘肃”。",
        f"Your booking for {entry.en} was cancelled by somebody who acts for you."
        " Smart Gansu has the details.",
    )


def _booking_cancelled(happening: Happening) -> Notice | None:
    """Told to whoever's session was cancelled, or booking by somebody else: who cancelled it
    themselves has the answer.
    """
    session = happening.document("sessions", happening.data["session"])
    booking = happening.document("bookings", happening.data["booking"])
    entry = moment(domain.begins_ms(booking))
    if "acted_by" in happening.data:
        return Notice(booking["citizen"], _given_back(entry))
    if session["state"] == "open":
        return None
    text = Words(
        f"很抱歉，{entry.zh}的场次已取消，您的预订随之取消，详情请见“智慧甘肃”。",
        f"We are sorry: entry on {entry.en} is cancelled, and your booking with it."
        " Smart Gansu has the details.",
    )
    return Notice(booking["citizen"], text)


def _booking_partly_cancelled(happening: Happening) -> Notice:
    """Told where a session was cancelled while some of a booking's visitors were inside."""
    booking = happening.document("bookings", happening.data["booking"])
    entry = moment(domain.begins_ms(booking))
    text = Words(
        f"很抱歉，{entry.zh}的场次已取消，您未使用的门票随之作废，详情请见“智慧甘肃”。",
        f"We are sorry: entry on {entry.en} is cancelled, and your unused tickets with it."
        " Smart Gansu has the details.",
    )
    return Notice(booking["citizen"], text)


NOTICES: Notices = {
    "booking.confirmed": _booking_confirmed,
    "booking.cancelled": _booking_cancelled,
    "booking.partly_cancelled": _booking_partly_cancelled,
    # Each of its bookings is cancelled behind it, with an event of its own.
    "session.cancelled": silent,
    # Never below what is held and sold, so nobody loses a place.
    "session.cap_changed": silent,
}
