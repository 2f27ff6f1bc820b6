"""Places and patients against a model: whatever is booked, cancelled, moved, stopped, checked in.

The real actions on the real engine in memory. What is refused is what the model says has to be,
and the laws of places and of patients are looked at in every entry of the journal.
"""

import tempfile
from collections import Counter
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from services.health import domain
from services.health.actions import appointments, desks, schedules
from services.health.actions.keepers import Staff
from services.health.domain.schedules import Pattern
from shared.errors import Refused
from shared.storage.access import Claim
from shared.storage.database import JournalDatabase
from shared.storage.entry import decode
from shared.storage.memory import MemoryBucket, MemoryStore
from shared.times import HOUR_MS, MINUTE_MS, midnight_ms
from tests.support.clock import FakeClock

MONDAY = date(2026, 1, 5)
EIGHT = midnight_ms(MONDAY) + 8 * HOUR_MS
OPERATOR = Staff("sub_op", operator=True)
PATIENTS = ("sub_1", "sub_2", "sub_3")
PLACES = 2
# Doctors 0 and 1 are of one department; 2 is of another; 3 works at another hospital, where slots
# are longer and overlap those of the others by halves.
DOCTORS = (("h1", "d1", 30), ("h1", "d1", 30), ("h1", "d2", 30), ("h2", "d3", 45))
LIMITS = {"no_shows_max": 1, "no_show_days": 1, "barred_days": 1}
CANCEL_HOURS = {"h1": 0, "h2": 1}

patients = st.sampled_from(PATIENTS)
doctors = st.integers(0, len(DOCTORS) - 1)
slots = st.integers(0, 1)


@dataclass
class Booking:
    """What the model knows of one appointment."""

    id: str
    patient: str
    doctor: int
    slot: int
    cancel_until_ms: int
    state: str = "booked"
    moved: bool = False


class Clinic(RuleBasedStateMachine):
    """Rules are what people do; invariants are looked at after each."""

    bookings = Bundle("bookings")

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.clock = FakeClock()
        self.bucket = MemoryBucket(self.clock)
        self.database = JournalDatabase(
            MemoryStore(self.bucket, clock=self.clock),
            domain.CATALOGUE,
            prefix="health/",
            directory=Path(self.directory.name),
            clock=self.clock,
        )
        self.booked: list[Booking] = []
        self.starts = [
            [EIGHT + number * length * MINUTE_MS for number in range(2)] for *_, length in DOCTORS
        ]
        self.stopped: set[int] = set()
        self.claims = 0

    def teardown(self) -> None:
        self.check_every_entry()
        self.clock.hurry()
        self.database.close()
        self.directory.cleanup()

    def claim(self) -> Claim:
        self.claims += 1
        return Claim("anyone", "any", f"key-{self.claims}", "digest")

    @initialize()
    def open(self) -> None:
        for hospital in ("h1", "h2"):
            rows = [
                (f"{department}-{number}", {"department": department})
                for number, (at, department, _) in enumerate(DOCTORS)
                if at == hospital
            ]
            limits = {**LIMITS, "cancel_hours": CANCEL_HOURS[hospital]}
            desks.plant_desk(self.database, hospital, limits, [], [], rows)
        self.doctors = [f"{department}-{n}" for n, (_, department, _) in enumerate(DOCTORS)]
        for doctor, (_, _, length) in zip(self.doctors, DOCTORS, strict=True):
            every = frozenset(range(1, 8))
            hours = (480, 480 + 2 * length, length)
            pattern = Pattern(MONDAY, MONDAY, every, *hours, PLACES, 60, 0)
            assert schedules.plant_sessions(self.database, [doctor], pattern).value == 1
        self.sessions = [f"{doctor}.20260105.0800" for doctor in self.doctors]

    # What the model says

    def hours(self, doctor: int, slot: int) -> tuple[int, int]:
        start = self.starts[doctor][slot]
        return start, start + DOCTORS[doctor][2] * MINUTE_MS

    def holding(self) -> list[Booking]:
        return [booking for booking in self.booked if booking.state != "cancelled"]

    def why_not(self, patient: str, doctor: int, slot: int) -> set[str]:
        """All the reasons for which a booking may be refused."""
        reasons = set()
        if doctor in self.stopped:
            reasons.add("session-stopped")
        if self.starts[doctor][slot] <= self.clock.now_ms():
            reasons.add("slot-past")
        if self.barred(patient, DOCTORS[doctor][0]):
            reasons.add("barred")
        for other in self.holding():
            if other.patient == patient and DOCTORS[other.doctor][1] == DOCTORS[doctor][1]:
                reasons.add("booked-already")
            if other.patient == patient and self.clash(other, doctor, slot):
                reasons.add("time-taken")
        if self.taken(doctor, slot) == PLACES:
            reasons.add("fully-booked")
        return reasons

    def barred(self, patient: str, hospital: str) -> bool:
        """One absence is enough."""
        return bool(self.absences(patient, hospital))

    def absences(self, patient: str, hospital: str) -> list[int]:
        """Those that count: from hours that the patient chose."""
        missed = [b for b in self.booked if b.state == "no_show" and not b.moved]
        return sorted(
            self.starts[b.doctor][b.slot]
            for b in missed
            if (b.patient, DOCTORS[b.doctor][0]) == (patient, hospital)
        )

    def clash(self, booking: Booking, doctor: int, slot: int) -> bool:
        begin, end = self.hours(doctor, slot)
        own_begin, own_end = self.hours(booking.doctor, booking.slot)
        return begin < own_end and own_begin < end

    def taken(self, doctor: int, slot: int) -> int:
        return sum((b.doctor, b.slot) == (doctor, slot) for b in self.holding())

    # What people do

    @rule(target=bookings, patient=patients, doctor=doctors, slot=slots)
    def book(self, patient: str, doctor: int, slot: int) -> Any:
        def act() -> Any:
            return appointments.book(
                self.database,
                patient,
                self.claim(),
                self.sessions[doctor],
                self.starts[doctor][slot],
            )

        reasons = self.why_not(patient, doctor, slot)
        if reasons:
            assert refused(act) in reasons
            return multiple()
        until = self.starts[doctor][slot] - CANCEL_HOURS[DOCTORS[doctor][0]] * HOUR_MS
        booking = Booking(act().value.key, patient, doctor, slot, until)
        self.booked.append(booking)
        return booking

    @rule(booking=bookings)
    def cancel(self, booking: Booking) -> None:
        def act() -> object:
            return appointments.cancel(self.database, booking.patient, booking.id, self.claim())

        reasons = {"not-booked"} if booking.state != "booked" else set()
        if booking.cancel_until_ms < self.clock.now_ms():
            reasons.add("too-late-to-cancel")
        self.settle(booking, "cancelled", reasons, act)

    @rule(booking=bookings)
    def check_in(self, booking: Booking) -> None:
        def act() -> object:
            hospital = DOCTORS[booking.doctor][0]
            return appointments.check_in(
                self.database, OPERATOR, hospital, booking.id, self.claim()
            )

        waiting = booking.state in {"booked", "no_show"}
        reasons = set() if waiting else {"not-booked"}
        if self.clock.now_ms() < midnight_ms(MONDAY):
            reasons.add("not-today")
        self.settle(booking, "checked_in", reasons, act)

    @rule(booking=bookings)
    def miss(self, booking: Booking) -> None:
        hospital = DOCTORS[booking.doctor][0]

        def act() -> object:
            return appointments.miss(self.database, OPERATOR, hospital, booking.id, self.claim())

        reasons = {"not-booked"} if booking.state != "booked" else set()
        if self.clock.now_ms() < self.hours(booking.doctor, booking.slot)[1]:
            reasons.add("not-over")
        self.settle(booking, "no_show", reasons, act)

    def settle(self, booking: Booking, state: str, reasons: set[str], act: Any) -> None:
        if reasons:
            assert refused(act) in reasons
            return
        act()
        booking.state = state

    @precondition(lambda self: len(self.booked) > 5)
    @rule(doctor=doctors)
    def stop(self, doctor: int) -> None:
        def act() -> object:
            return schedules.stop(self.database, OPERATOR, self.sessions[doctor], self.claim())

        last = max(self.hours(doctor, slot)[1] for slot in range(2))
        if doctor in self.stopped or last <= self.clock.now_ms():
            assert refused(act) in {"session-stopped", "slot-past"}
            return
        act()
        self.stopped.add(doctor)
        for slot in range(2):
            begin, end = self.hours(doctor, slot)
            until = {"booked": end, "checked_in": begin}
            for booking in self.waiting(doctor, slot):
                if self.clock.now_ms() < until[booking.state]:
                    booking.state = "cancelled"

    @rule(doctor=doctors, slot=slots, minutes=st.integers(-2, 6).map(lambda n: 15 * n))
    def move(self, doctor: int, slot: int, minutes: int) -> None:
        self.move_to(doctor, slot, minutes)

    def move_to(self, doctor: int, slot: int, minutes: int) -> None:
        seen = schedules.read_session(self.database, self.sessions[doctor]).value
        start = EIGHT + minutes * MINUTE_MS

        def act() -> object:
            return schedules.move_slot(
                self.database, OPERATOR, seen.key, seen.revision, slot, 480 + minutes
            )

        reasons = self.why_not_move(doctor, slot, start)
        if reasons:
            assert refused(act) in reasons
            return
        act()
        for booking in self.waiting(doctor, slot):
            if start != self.starts[doctor][slot]:
                booking.moved = True
                booking.cancel_until_ms = max(booking.cancel_until_ms, start)
        self.starts[doctor][slot] = start

    def waiting(self, doctor: int, slot: int) -> list[Booking]:
        """Whom a slot takes along."""
        there = [b for b in self.booked if (b.doctor, b.slot) == (doctor, slot)]
        return [b for b in there if b.state in {"booked", "checked_in"}]

    def why_not_move(self, doctor: int, slot: int, start: int) -> set[str]:
        reasons = set()
        if doctor in self.stopped:
            reasons.add("session-stopped")
        if min(self.starts[doctor][slot], start) <= self.clock.now_ms():
            reasons.add("slot-past")
        before = self.starts[doctor][slot]
        self.starts[doctor][slot] = start
        own = Booking("", "", doctor, slot, 0)
        if self.clash(own, doctor, 1 - slot):
            reasons.add("doctor-busy")
        for booking in self.waiting(doctor, slot):
            others = (b for b in self.holding() if b is not booking)
            if any(b.patient == booking.patient and self.clash(b, doctor, slot) for b in others):
                reasons.add("patients-busy")
        self.starts[doctor][slot] = before
        return reasons

    @rule(booking=bookings, other=bookings)
    def move_onto(self, booking: Booking, other: Booking) -> None:
        """To where somebody, perhaps the same patient, is already."""
        start = self.starts[other.doctor][other.slot]
        self.move_to(booking.doctor, booking.slot, (start - EIGHT) // MINUTE_MS)

    @precondition(lambda self: len(self.booked) > 3)
    @rule(booking=bookings)
    def miss_late(self, booking: Booking) -> None:
        """As soon as the patient can no longer come."""
        end = self.hours(booking.doctor, booking.slot)[1]
        self.clock.wall_ms = max(self.clock.wall_ms, end)
        self.miss(booking)

    @precondition(lambda self: len(self.booked) > 3)
    @rule(booking=bookings)
    def miss_moved(self, booking: Booking) -> None:
        """At an hour that the hospital chose, if it could."""
        self.move_to(booking.doctor, booking.slot, 90)
        self.miss_late(booking)

    @precondition(lambda self: len(self.booked) > 3)
    @rule(booking=bookings)
    def come_after_all(self, booking: Booking) -> None:
        self.miss_late(booking)
        self.check_in(booking)

    @precondition(lambda self: len(self.booked) > 3)
    @rule(minutes=st.sampled_from([-600, 0, 15, 30]))
    def wait(self, minutes: int) -> None:
        self.clock.wall_ms = max(self.clock.wall_ms, EIGHT + minutes * MINUTE_MS)

    # What has to hold

    @invariant()
    def slots_are_what_the_model_says(self) -> None:
        for doctor, key in enumerate(getattr(self, "sessions", [])):
            body = schedules.read_session(self.database, key).value.body
            assert [slot["start_ms"] for slot in body["slots"]] == self.starts[doctor]
            for number, slot in enumerate(body["slots"]):
                states = Counter(
                    b.state for b in self.booked if (b.doctor, b.slot) == (doctor, number)
                )
                assert slot["free"] == PLACES - self.taken(doctor, number)
                for state in ("booked", "checked_in", "no_show"):
                    assert slot[state] == states[state]

    @invariant()
    def appointments_are_where_the_model_says(self) -> None:
        for patient in PATIENTS:
            found = appointments.list_own(self.database, patient, limit=100, after=None).value
            own = {(b.id, b.state) for b in self.booked if b.patient == patient}
            assert {(hit.document.key, hit.document.body["state"]) for hit in found} == own

    @invariant()
    def what_counts_is_remembered_and_no_more(self) -> None:
        for patient in PATIENTS:
            for hospital in CANCEL_HOURS:
                key = f"{patient}.{hospital}"
                found = self.database.read(lambda view, key=key: view.get("absences", key)).value
                missed = [] if found is None else found.body["missed"]
                assert missed == self.absences(patient, hospital)

    def check_every_entry(self) -> None:
        """The laws at every single entry of the journal, not only between requests."""
        store = MemoryStore(self.bucket, clock=self.clock)
        state: dict[str, dict[str, Any]] = {"sessions": {}, "appointments": {}}
        for row in store.list("health/journal/", limit=100_000):
            for write in decode(store.get(row.key), int(row.key[-25:-5])).writes:
                if write.collection in state and write.body is not None:
                    state[write.collection][write.key] = orjson.loads(write.body)
            check_places(state["sessions"], state["appointments"])
            check_patients(state["appointments"])


def check_places(sessions: dict[str, Any], made: dict[str, Any]) -> None:
    held = Counter((a["session"], a["slot"], a["state"]) for a in made.values())
    for key, session in sessions.items():
        for number, slot in enumerate(session["slots"]):
            counts = {state: slot[state] for state in ("booked", "checked_in", "no_show")}
            assert min(slot["free"], *counts.values()) >= 0
            assert slot["free"] + sum(counts.values()) == session["places"]
            assert counts == {state: held[key, number, state] for state in counts}


def check_patients(made: dict[str, Any]) -> None:
    holding = [a for a in made.values() if a["state"] != "cancelled"]
    for one, other in combinations(holding, 2):
        if one["patient"] == other["patient"] and one["date"] == other["date"]:
            assert one["department"] != other["department"]
            assert one["end_ms"] <= other["start_ms"] or other["end_ms"] <= one["start_ms"]


def refused(act: Any) -> str:
    with pytest.raises(Refused) as refusal:
        act()
    return refusal.value.problem.slug


@pytest.mark.fuzz
def test_places_are_conserved_and_nobody_is_in_two() -> None:
    profile = settings()
    run_state_machine_as_test(
        Clinic,
        settings=settings(
            max_examples=60 if profile.derandomize else profile.max_examples,
            stateful_step_count=50,
        ),
    )
