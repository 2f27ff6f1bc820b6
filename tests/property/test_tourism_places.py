"""Places against a model: whatever is held, confirmed, given back, let in, resized and closed.

The real actions on the real engine in memory, and beside them a few lines of arithmetic that know
how it has to come out.
"""

import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from services.tourism import domain
from services.tourism.actions import bookings, closing, sessions
from services.tourism.actions.keepers import Keeper
from services.tourism.domain import Window
from shared.errors import Problem, Refused
from shared.storage.access import Claim
from shared.storage.database import JournalDatabase
from shared.storage.memory import MemoryBucket, MemoryStore
from tests.support.clock import FakeClock
from tests.support.gate import PRODUCT
from tests.support.places_ledger import audit

STAFF = Keeper("sub_staff")
DAILY_MAX = 9
JOURNAL = "tourism/journal/"
HOLD_SECONDS = 15 * 60
# Two sessions of one day and one of the next; the clock starts at eight in Gansu.
SESSIONS = ((date(2026, 1, 1), 540), (date(2026, 1, 1), 700), (date(2026, 1, 2), 540))
WINDOW_MINUTES = 600

places = st.integers(0, len(SESSIONS) - 1)
people = st.lists(st.integers(0, 7), min_size=1, max_size=4, unique=True)


@dataclass
class Booking:
    """What the model knows of one booking."""

    id: str
    session: int
    people: list[int]
    state: str
    until_ms: int
    admitted: int = 0


class Turnstile(RuleBasedStateMachine):
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
            prefix="tourism/",
            directory=Path(self.directory.name),
            clock=self.clock,
        )
        self.asked = [6, 6, 6]
        self.open = [True] * len(SESSIONS)
        self.made: list[Booking] = []
        self.claims = 0

    def teardown(self) -> None:
        self.check_every_entry()
        self.clock.hurry()
        self.database.close()
        self.directory.cleanup()

    def claim(self) -> Claim:
        self.claims += 1
        return Claim("sub_c", "route", f"key-{self.claims}", "digest")

    @initialize()
    def plant(self) -> None:
        kept = {"staff": [STAFF.subject], "gates": [], "daily_max": DAILY_MAX}
        sessions.plant_operator(self.database, "mogao", kept)
        self.ids = []
        for number, (day, start) in enumerate(SESSIONS):
            window = Window(start, start + WINDOW_MINUTES, self.asked[number])
            sessions.plant_product(self.database, "ticket", PRODUCT, [day], [window])
            self.ids.append(domain.session_key("ticket", day, start))

    # What the model knows

    def lives(self, booking: Booking) -> bool:
        held = booking.state == "held" and self.clock.now_ms() < booking.until_ms
        return held or booking.state == "confirmed"

    def taken(self, session: int) -> int:
        """What is held and sold, expired holds aside."""
        return sum(len(b.people) for b in self.made if b.session == session and self.lives(b))

    def taken_on(self, day: date) -> int:
        return sum(self.taken(number) for number, (on, _) in enumerate(SESSIONS) if on == day)

    def ends_ms(self, session: int) -> int:
        day, start = SESSIONS[session]
        return domain.ends_ms({"day": day.isoformat(), "end": start + WINDOW_MINUTES})

    def over(self, session: int) -> bool:
        return self.clock.now_ms() >= self.ends_ms(session)

    def has_ticket(self, session: int) -> set[int]:
        day = SESSIONS[session][0]
        return {
            person
            for booking in self.made
            if self.lives(booking) and SESSIONS[booking.session][0] == day
            for person in booking.people
        }

    # What people do

    @rule(minutes=st.integers(1, 20) | st.just(240))
    def wait(self, minutes: int) -> None:
        self.clock.pass_wall(seconds=60 * minutes)

    @rule(target=bookings, session=places, visitors=people)
    def hold(self, session: int, visitors: list[int]) -> Any:
        digests = [f"doc_{person}" for person in visitors]

        def act() -> Any:
            return bookings.hold_places(
                self.database, "sub_c", self.claim(), self.ids[session], digests
            )

        free = max(0, self.asked[session] - self.taken(session))
        if not self.open[session]:
            assert_refused(act, domain.CLOSED)
        elif self.over(session):
            assert_refused(act, domain.OVER)
        elif self.has_ticket(session) & set(visitors):
            assert_refused(act, domain.HAS_TICKET)
        elif free < len(visitors):
            assert_refused(act, domain.SOLD_OUT)
        elif self.taken_on(SESSIONS[session][0]) + len(visitors) > DAILY_MAX:
            assert_refused(act, domain.DAY_FULL)
        else:
            made = act().value
            until = self.clock.now_ms() + HOLD_SECONDS * 1000
            until = min(until, self.ends_ms(session))
            booking = Booking(made.key, session, visitors, "held", until)
            self.made.append(booking)
            return booking
        return multiple()

    @rule(booking=bookings)
    def confirm(self, booking: Booking) -> None:
        def act() -> Any:
            return bookings.confirm_booking(self.database, "sub_c", booking.id, self.claim())

        if booking.state not in {"held", "expired"}:
            assert_refused(act, domain.NOT_HELD)
        elif self.over(booking.session):
            assert_refused(act, domain.OVER)
        elif not self.lives(booking):
            assert_refused(act, domain.EXPIRED)
        else:
            act()
            booking.state = "confirmed"

    @rule(booking=bookings)
    def cancel(self, booking: Booking) -> None:
        def act() -> Any:
            return bookings.cancel_booking(self.database, "sub_c", booking.id, self.claim())

        day, start = SESSIONS[booking.session]
        begun = self.clock.now_ms() >= domain.begins_ms({"day": day.isoformat(), "start": start})
        if not self.lives(booking) or (booking.state == "confirmed" and begun):
            assert_refused(act, domain.NOT_REFUNDABLE)
        else:
            act()
            booking.state = "cancelled"

    @rule(booking=bookings)
    def admit(self, booking: Booking) -> None:
        def act() -> Any:
            ticket = domain.ticket_key(booking.id, 0)
            return bookings.admit(self.database, STAFF, ticket, self.claim(), None)

        day, start = SESSIONS[booking.session]
        window = {"day": day.isoformat(), "start": start, "end": start + WINDOW_MINUTES}
        now_ms = self.clock.now_ms()
        if booking.admitted:
            assert_refused(act, domain.USED)
        elif booking.state != "confirmed":
            assert_refused(act, domain.NOT_VALID)
        elif not domain.begins_ms(window) <= now_ms < domain.ends_ms(window):
            assert_refused(act, domain.NOT_NOW)
        else:
            act()
            booking.admitted = 1

    @rule(session=places, capacity=st.integers(0, 8))
    def resize(self, session: int, capacity: int) -> None:
        key = self.ids[session]
        seen = sessions.read_capacity(self.database, STAFF, key).value.asked.revision

        def act() -> Any:
            return sessions.change_capacity(self.database, STAFF, key, seen, capacity)

        if not self.open[session]:
            assert_refused(act, domain.CLOSED)
            return
        changed = act().value.session
        self.asked[session] = capacity
        assert changed["capacity"] == max(capacity, self.taken(session))

    @rule(booking=bookings)
    def lower_and_give_back(self, booking: Booking) -> None:
        """What comes back while more is taken than staff asked for."""
        self.resize(booking.session, 0)
        self.cancel(booking)
        self.sessions_are_what_the_model_says()
        self.resize(booking.session, 6)

    @rule(session=places, really=st.integers(0, 7))
    def close(self, session: int, really: int) -> None:
        if really:
            return

        def act() -> Any:
            return closing.close_session(self.database, STAFF, self.ids[session], self.claim())

        if not self.open[session]:
            assert_refused(act, domain.CLOSED)
            return
        if self.over(session):
            assert_refused(act, domain.OVER)
            return
        act()
        self.open[session] = False
        for booking in self.made:
            if booking.session != session or booking.state not in {"held", "confirmed"}:
                continue
            if booking.admitted:
                # Tickets are used from the first on.
                booking.people = booking.people[: booking.admitted]
            else:
                booking.state = "cancelled" if self.lives(booking) else "expired"

    # What has to hold

    @invariant()
    def sessions_are_what_the_model_says(self) -> None:
        for number, key in enumerate(getattr(self, "ids", [])):
            body = sessions.read_capacity(self.database, STAFF, key).value.session
            mine = [b for b in self.made if b.session == number]
            sold = sum(len(b.people) for b in mine if b.state == "confirmed")
            held = sum(len(b.people) for b in mine if b.state == "held" and self.lives(b))
            expired = sum(len(b.people) for b in mine if b.state == "held") - held
            assert body["sold"] == sold
            assert held <= body["held"] <= held + expired
            assert body["admitted"] == sum(b.admitted for b in mine)
            assert body["capacity"] == max(self.asked[number], body["held"] + body["sold"])

    def check_every_entry(self) -> None:
        """The laws at every single entry of the journal, not only between requests."""
        store = MemoryStore(self.bucket, clock=self.clock)
        assert audit(store.get(row.key) for row in store.list(JOURNAL, limit=100_000)) == []


def assert_refused(act: Any, problem: Problem) -> None:
    with pytest.raises(Refused) as refused:
        act()
    assert refused.value.problem is problem


@pytest.mark.fuzz
def test_places_are_conserved_and_nobody_has_two() -> None:
    profile = settings()
    run_state_machine_as_test(
        Turnstile,
        settings=settings(
            max_examples=25 if profile.derandomize else profile.max_examples,
            stateful_step_count=40,
        ),
    )
