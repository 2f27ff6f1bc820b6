"""Citizens who want a doctor's hour, over HTTP, as careful apps do (see shoppers.py)."""

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count

import orjson

from shared.clock import SystemClock
from shared.storage.entry import decode
from shared.times import HOUR_MS, day_of, instant, midnight_ms
from tests.support.fleet import Door, Fleet
from tests.support.ledger import entries_of
from tests.support.served import Json
from tests.support.shoppers import Client, Reply, new_key

HOSPITAL = "lzu-first"
DEPARTMENT = "sample-lzu-first-internal"
STAFF = "hospital-lzu-first"

_NUMBERS = count()


@dataclass(frozen=True, slots=True)
class Hour:
    """One slot of a session."""

    session: str
    starts_at: str


@dataclass(slots=True)
class Ward:
    """A sample department, and every appointment that was acknowledged there."""

    fleet: Fleet
    booked: set[str] = field(default_factory=set)

    def open_hour(self, door: Door, places: int) -> Hour:
        """An hour of tomorrow, of a new doctor."""
        day = day_of(SystemClock().now_ms()) + timedelta(days=1)
        tomorrow = day.isoformat()
        pattern = {
            "first": tomorrow,
            "last": tomorrow,
            "weekdays": [1, 2, 3, 4, 5, 6, 7],
            "start": "09:00",
            "end": "10:00",
            "slot_minutes": 60,
            "places": places,
            "release_days": 7,
            "release_time": "00:00",
        }
        client = Client(door, self.fleet.token(STAFF))
        named = {"name_zh": "示例医生", "name_en": "Sample doctor"}
        doctors = f"/health/v1/departments/{DEPARTMENT}/doctors"
        doctor = client.insist(doctors, named, new_key()).body["id"]
        schedule = f"/health/v1/doctors/{doctor}/schedule"
        [session] = client.insist(schedule, pattern, new_key()).body["made"]
        client.close()
        return Hour(session, instant(midnight_ms(day) + 9 * HOUR_MS))

    def assert_books_agree(self) -> None:
        """At every entry free and booked are the places; in the end those who were told so have
        appointments, and nobody else.
        """
        with self.fleet.bucket() as bucket:
            entries = list(entries_of(bucket, "health/"))
        appointments: dict[str, Json] = {}
        for seq, stored in enumerate(entries, 1):
            for write in decode(stored, seq).writes:
                body: Json = orjson.loads(write.body or b"{}")
                if write.collection == "appointments":
                    appointments[write.key] = body
                if write.collection == "sessions":
                    assert [_taken(slot) for slot in body["slots"]] == [body["places"]] * len(
                        body["slots"]
                    ), f"entry {seq}"
        assert {key for key, body in appointments.items() if body["state"] == "booked"} == (
            self.booked
        )


def _taken(slot: Json) -> int:
    counts = [slot[name] for name in ("free", "booked", "checked_in", "no_show")]
    assert min(counts) >= 0, slot
    return sum(counts)


class Patient:
    """One account that books for itself."""

    def __init__(self, ward: Ward, door: Door) -> None:
        self._ward = ward
        self.client = Client(door, ward.fleet.token(f"citizen-{700_000 + next(_NUMBERS)}"))

    def book(self, hour: Hour) -> Reply:
        body = {"session_id": hour.session, "starts_at": hour.starts_at}
        reply = self.client.insist("/health/v1/appointments", body, new_key())
        if reply.status == 201:
            self._ward.booked.add(reply.body["id"])
        return reply
