"""What tourism tidies while it serves, whether or not anybody writes."""

from services.tourism.actions.closing import any_closing, call_off_some
from services.tourism.actions.places import any_expired, let_go
from shared.storage.access import Chore, ReadView, Transaction


def _is_due(view: ReadView, now_ms: int) -> bool:
    return any_closing(view) or any_expired(view, now_ms)


def _tidy(tx: Transaction) -> None:
    call_off_some(tx)
    let_go(tx)


UPKEEP = Chore(_is_due, _tidy)
"""Bookings of closed sessions called off to the last; expired holds let go."""
