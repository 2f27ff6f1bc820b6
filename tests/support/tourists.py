"""Citizens who want a place in a session, over HTTP, as careful apps do (see shoppers.py)."""

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any

from shared.clock import SystemClock
from shared.times import day_of
from tests.support.fleet import Door, Fleet
from tests.support.ledger import entries_of
from tests.support.places_ledger import audit, confirmed_in
from tests.support.shoppers import Client, Reply, new_key

PRODUCT = "sample-mogao-a"
STAFF = "scenic-mogao"

_NUMBERS = count()


@dataclass(slots=True)
class Site:
    """The sample attraction, and everything that citizens were told there."""

    fleet: Fleet
    confirmed: set[str] = field(default_factory=set)
    _minutes: Any = field(default_factory=lambda: iter(range(1, 1200)))

    def open_session(self, door: Door, capacity: int) -> str:
        """A new session of tomorrow; its id."""
        day = day_of(SystemClock().now_ms()) + timedelta(days=1)
        start = next(self._minutes)
        window = {"start": _clock(start), "end": "23:59", "capacity": capacity}
        body = {
            "first_day": day.isoformat(),
            "last_day": day.isoformat(),
            "weekdays": [1, 2, 3, 4, 5, 6, 7],
            "windows": [window],
        }
        client = Client(door, self.fleet.token(STAFF))
        made = client.insist(f"/tourism/v1/products/{PRODUCT}/sessions", body, new_key())
        client.close()
        assert (made.status, made.body["opened"]) == (201, 1), made
        return f"{PRODUCT}.{day:%Y%m%d}.{_clock(start).replace(':', '')}"

    def assert_books_agree(self) -> None:
        """The journal breaks no law, and holds whatever was acknowledged."""
        with self.fleet.bucket() as bucket:
            entries = list(entries_of(bucket, "tourism/"))
        assert audit(entries) == []
        assert confirmed_in(entries) == self.confirmed


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


class Tourist:
    """One account that books for one person."""

    def __init__(self, site: Site, door: Door) -> None:
        number = next(_NUMBERS)
        self._site = site
        self._document = {"kind": "passport", "number": f"T{number:08d}"}
        self.client = Client(door, site.fleet.token(f"citizen-{500_000 + number}"))

    def book(self, session: str) -> Reply:
        """Hold a place and confirm it; the refusal, or the confirmation."""
        body = {"session_id": session, "visitors": [{"document": self._document}]}
        held = self.client.insist("/tourism/v1/bookings", body, new_key())
        if held.status != 201:
            return held
        booking = held.body["id"]
        done = self.client.insist(f"/tourism/v1/bookings/{booking}/confirmation", None, new_key())
        self._site.confirmed.add(booking)
        return done
