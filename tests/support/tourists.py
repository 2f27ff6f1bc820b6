"""Citizens who want a place in a session, over HTTP (see crowds.py)."""

import random
import threading
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any

from services.tourism.domain import HOLDS_MAX
from shared.clock import SystemClock
from shared.times import clock_of, day_of
from tests.support.crowds import Client, Party, Reply, new_key
from tests.support.fleet import Door, Fleet
from tests.support.ledger import claim_row, entries_of
from tests.support.places_ledger import audit
from tests.support.places_told import PlacesBooks, PlacesTold, contradictions

PRODUCT = "sample-mogao-a"
STAFF = "scenic-mogao"

_NUMBERS = count()


@dataclass(slots=True)
class Site:
    """The sample attraction, and everything that citizens were told there."""

    fleet: Fleet
    told: PlacesTold = field(default_factory=lambda: PlacesTold("bookings"))
    sessions: list[str] = field(default_factory=list)
    _minutes: Any = field(default_factory=lambda: iter(range(1, 1200)))

    def open_session(self, door: Door, capacity: int) -> str:
        """A new session of tomorrow; its id."""
        day = day_of(SystemClock().now_ms()) + timedelta(days=1)
        start = next(self._minutes)
        window = {"start": clock_of(start), "end": "23:59", "capacity": capacity}
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
        self.sessions.append(f"{PRODUCT}.{day:%Y%m%d}.{clock_of(start).replace(':', '')}")
        return self.sessions[-1]

    def party(self, door: Door, *, keeps: bool) -> "Tourist":
        return Tourist(self, door, keeps=keeps)

    def keep(self, door: Door, chance: random.Random, stop: threading.Event) -> None:
        """Change caps in mid-season."""
        with closing(Client(door, self.fleet.token(STAFF))) as staff:
            while not stop.wait(chance.uniform(0.05, 0.2)):
                path = f"/tourism/v1/sessions/{chance.choice(self.sessions)}/capacity"
                seen = staff.ask("GET", path)
                if seen is not None:
                    assert seen.status == 200, seen
                    staff.ask("PUT", path, {"capacity": chance.randint(0, 4000)}, etag=seen.etag)

    def assert_books_agree(self) -> PlacesBooks:
        """The journal breaks no law, and holds what people were told and no more."""
        with self.fleet.bucket() as bucket:
            entries = list(entries_of(bucket, "tourism/"))
        assert audit(entries) == []
        assert contradictions(entries, self.told) == []
        return PlacesBooks(len(self.told.states), len(entries))


def open_site(fleet: Fleet) -> Site:
    """The sample attraction with three sessions that have room, and one that is soon full."""
    site = Site(fleet)
    for capacity in (4000, 4000, 4000, 20):
        site.open_session(fleet.doors[0], capacity)
    return site


class Tourist(Party):
    """One who books for people, each time for another one; after so many bookings that one account
    can have none more waiting, it goes and another comes.
    """

    def __init__(self, site: Site, door: Door, *, keeps: bool = True) -> None:
        self._site = site
        self._door = door
        self._keeps = keeps
        super().__init__(self._come())

    def _come(self) -> Client:
        account = f"citizen-{500_000 + next(_NUMBERS)}"
        self._subject = self._site.fleet.subject(account)
        self._own: list[str] = []
        return Client(self._door, self._site.fleet.token(account), keeps=self._keeps)

    def trade(self, chance: random.Random) -> bool:
        if len(self._own) == HOLDS_MAX:
            self.client.close()
            self.client = self._come()
        done = self.book(chance.choice(self._site.sessions), confirms=chance.random() < 0.8)
        if self._own and chance.random() < 0.3:
            self._post(chance.choice(self._own), "cancellation", "cancelled")
        if self._own and chance.random() < 0.2:
            self.look(f"/tourism/v1/bookings/{chance.choice(self._own[-5:])}")
        return done.status == 201

    def book(self, session: str, *, confirms: bool = True) -> Reply:
        """Hold a place, and confirm it unless told not to; the refusal, or the last answer."""
        document = {"kind": "passport", "number": f"T{next(_NUMBERS):08d}"}
        body = {"session_id": session, "visitors": [{"document": document}]}
        key = new_key()
        row = claim_row(self._subject, "POST /v1/bookings", key)
        held = self.post("/tourism/v1/bookings", body, partial(self._held, row), key)
        if held.status != 201 or not confirms:
            return held
        return self._post(held.body["id"], "confirmation", "confirmed")

    def _held(self, row: str, reply: Reply) -> None:
        if reply.status == 201:
            self._own.append(reply.body["id"])
            self._site.told.states[reply.body["id"]] = "held"
        else:
            self._site.told.refused.add(row)

    def _post(self, booking: str, what: str, state: str) -> Reply:
        path = f"/tourism/v1/bookings/{booking}/{what}"
        return self.post(path, None, partial(self._became, booking, state))

    def _became(self, booking: str, state: str, reply: Reply) -> None:
        if reply.status == 201:
            self._site.told.states[booking] = state
