"""Citizens who want a doctor's hour, over HTTP (see crowds.py)."""

import random
import threading
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import count

import orjson

from shared.clock import SystemClock
from shared.storage.entry import decode
from shared.times import HOUR_MS, day_of, instant, midnight_ms
from tests.support.crowds import Client, Party, Reply, new_key
from tests.support.fleet import Door, Fleet
from tests.support.ledger import claim_row, entries_of
from tests.support.places_told import PlacesBooks, PlacesTold, contradictions
from tests.support.served import Json

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
    told: PlacesTold = field(default_factory=lambda: PlacesTold("appointments"))
    hours: list[Hour] = field(default_factory=list)

    def open_hour(self, door: Door, places: int) -> Hour:
        """A new doctor's hour, on a day on which it can still be cancelled."""
        return self.open_hours(door, places, 1)[0]

    def open_hours(self, door: Door, places: int, hours: int) -> list[Hour]:
        day = day_of(SystemClock().now_ms()) + timedelta(days=3)
        that_day = day.isoformat()
        pattern = {
            "first": that_day,
            "last": that_day,
            "weekdays": [1, 2, 3, 4, 5, 6, 7],
            "start": "09:00",
            "end": f"{9 + hours:02d}:00",
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
        opened = [
            Hour(session, instant(midnight_ms(day) + (9 + number) * HOUR_MS))
            for number in range(hours)
        ]
        self.hours += opened
        return opened

    def party(self, door: Door, *, keeps: bool) -> "Patient":
        return Patient(self, door, keeps=keeps)

    def keep(self, door: Door, chance: random.Random, stop: threading.Event) -> None:
        """Look into the day's list, as a desk does."""
        with closing(Client(door, self.fleet.token(STAFF))) as staff:
            while not stop.wait(chance.uniform(0.05, 0.2)):
                session = chance.choice(self.hours).session
                path = f"/health/v1/sessions/{session}/appointments"
                seen = staff.ask("GET", path)
                assert seen is None or seen.status == 200, seen

    def assert_books_agree(self) -> PlacesBooks:
        """At every entry free and booked are the places; in the end a slot counts its appointments,
        and these are what people were told, and no more.
        """
        with self.fleet.bucket() as bucket:
            entries = list(entries_of(bucket, "health/"))
        counted: dict[tuple[str, int, str], int] = {}
        appointments: dict[str, Json] = {}
        for seq, stored in enumerate(entries, 1):
            for write in decode(stored, seq).writes:
                body: Json = orjson.loads(write.body or b"{}")
                if write.collection == "appointments":
                    appointments[write.key] = body
                if write.collection == "sessions":
                    taken = [_taken(slot) for slot in body["slots"]]
                    assert taken == [body["places"]] * len(taken), f"entry {seq}"
                    for number, slot in enumerate(body["slots"]):
                        counted[write.key, number, "booked"] = slot["booked"]
        made = Counter((a["session"], a["slot"], a["state"]) for a in appointments.values())
        assert {place: made[place] for place in counted} == counted
        assert contradictions(entries, self.told) == []
        return PlacesBooks(len(self.told.states), len(entries))


def open_ward(fleet: Fleet) -> Ward:
    """A sample department with six doctors who have room, and one who soon has none."""
    ward = Ward(fleet)
    for places in (20, 20, 20, 20, 20, 20, 2):
        ward.open_hours(fleet.doors[0], places, 10)
    return ward


def _taken(slot: Json) -> int:
    counts = [slot[name] for name in ("free", "booked", "checked_in", "no_show")]
    assert min(counts) >= 0, slot
    return sum(counts)


class Patient(Party):
    """One who books for itself; with an appointment that is kept it goes, and another comes."""

    def __init__(self, ward: Ward, door: Door, *, keeps: bool = True) -> None:
        self._ward = ward
        self._door = door
        self._keeps = keeps
        super().__init__(self._come())

    def _come(self) -> Client:
        account = f"citizen-{700_000 + next(_NUMBERS)}"
        self._subject = self._ward.fleet.subject(account)
        return Client(self._door, self._ward.fleet.token(account), keeps=self._keeps)

    def trade(self, chance: random.Random) -> bool:
        booked = self.book(chance.choice(self._ward.hours))
        if booked.status != 201:
            return False
        appointment = booked.body["id"]
        self.look(f"/health/v1/appointments/{appointment}")
        if chance.random() < 0.05 or self._cancelled(appointment).status != 201:
            self.client.close()
            self.client = self._come()
        return True

    def book(self, hour: Hour) -> Reply:
        body = {"session_id": hour.session, "starts_at": hour.starts_at}
        key = new_key()
        row = claim_row(self._subject, "POST /v1/appointments", key)
        return self.post("/health/v1/appointments", body, partial(self._booked, row), key)

    def _booked(self, row: str, reply: Reply) -> None:
        if reply.status == 201:
            self._ward.told.states[reply.body["id"]] = "booked"
        else:
            self._ward.told.refused.add(row)

    def _cancelled(self, appointment: str) -> Reply:
        path = f"/health/v1/appointments/{appointment}/cancellation"
        return self.post(path, None, partial(self._gone, appointment))

    def _gone(self, appointment: str, reply: Reply) -> None:
        if reply.status == 201:
            self._ward.told.states[appointment] = "cancelled"
