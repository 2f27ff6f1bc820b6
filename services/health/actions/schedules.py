"""Sessions: published, stopped, moved by staff; what is free of them, for everyone."""

from collections.abc import Iterable
from datetime import date, timedelta

from services.health.actions.days import rebook, release
from services.health.actions.keepers import PUBLIC, Staff, at_desk
from services.health.domain import DAY_SESSIONS_MAX, SESSION_PLACES_MAX
from services.health.domain import schedules as rules
from services.health.domain.appointments import is_to_be_seen
from services.health.domain.problems import TOO_MANY_SESSIONS
from services.health.domain.schedules import DayPlaces, Pattern
from shared.errors import NOT_FOUND, Refused, invalid
from shared.storage.access import (
    Claim,
    Committed,
    Database,
    Document,
    Freshness,
    Hit,
    Position,
    ReadView,
    Transaction,
    View,
    unchanged,
)
from shared.storage.catalogue import Body
from shared.times import day_of

BY_DEPARTMENT, BY_DOCTOR = "departments", "doctors"
"""Whose sessions are asked for: the collection that the id is of."""

_INDEXES = {BY_DEPARTMENT: "sessions_by_department", BY_DOCTOR: "sessions_by_doctor"}


# Publishing


def publish(
    database: Database, staff: Staff, doctor_id: str, claim: Claim, pattern: Pattern
) -> Committed[Document]:
    """Publish a doctor's sessions by a pattern, all that are not there yet or none.

    The publication lists the ids that were `made` and those that were `kept` as they stand: a
    session that was published, changed or stopped before is not touched. Raises
    Refused(INVALID, DOCTOR_BUSY, TOO_MANY_SESSIONS).
    """
    rules.check_pattern(pattern)

    def change(tx: Transaction) -> Document:
        doctor = tx.require("doctors", doctor_id)
        at_desk(tx, staff, doctor.body["hospital"])
        if pattern.first < day_of(tx.now_ms):
            raise invalid("first", "不能早于今天", "is over")
        body = {**_published(tx, doctor, pattern), "by": staff.subject}
        return tx.put("publications", tx.new_id("publication"), body)

    return database.transact_once(claim, change)


def plant_sessions(
    database: Database, doctor_ids: Iterable[str], pattern: Pattern
) -> Committed[int]:
    """Publish sample doctors' sessions where they are missing; how many that was."""

    def change(tx: Transaction) -> int:
        made = (_published(tx, tx.require("doctors", key), pattern)["made"] for key in doctor_ids)
        return sum(map(len, made))

    return database.transact(change)


def _published(tx: Transaction, doctor: Document, pattern: Pattern) -> Body:
    made: dict[str, Body] = {}
    kept: list[str] = []
    for day in pattern.days:
        key = rules.session_id(doctor.key, day, pattern.start_minute)
        if tx.get("sessions", key) is not None:
            kept.append(key)
            continue
        session = rules.new_session(doctor.key, doctor.body, pattern, day)
        rules.check_apart(session, _of_day(tx, BY_DOCTOR, doctor.key, session["date"]))
        if len(_of_day(tx, BY_DEPARTMENT, session["department"], session["date"])) >= (
            DAY_SESSIONS_MAX
        ):
            raise Refused(TOO_MANY_SESSIONS, detail={"date": session["date"]})
        made[key] = session
    # Only now: a list inside a change reads all that it wrote before, and these are on other days.
    for key, session in made.items():
        tx.put("sessions", key, session)
    return {"doctor": doctor.key, "made": list(made), "kept": kept}


def _of_day(view: View, whose: str, key: str, day: str) -> list[Body]:
    """All sessions of one department or doctor on one day."""
    hits = view.find(_INDEXES[whose], (key, day), limit=DAY_SESSIONS_MAX)
    return [hit.document.body for hit in hits]


# Changing


def stop(database: Database, staff: Staff, session_id: str, claim: Claim) -> Committed[Document]:
    """Stop a session; whoever waits for it loses the appointment, which is an event for each.

    What is over is not called off, but left for the desk to settle; nor is who checked in and whose
    slot has begun, since the doctor may be seeing them. Raises Refused(SESSION_STOPPED, SLOT_PAST).
    """

    def change(tx: Transaction) -> Document:
        session = _own_session(tx, staff, session_id)
        rules.stop(session.body, tx.now_ms)
        session.body["by"] = staff.subject
        for appointment in _waiting(tx, session_id):
            body = appointment.body
            if not is_to_be_seen(body, tx.now_ms):
                continue
            rules.settle(session.body["slots"][body["slot"]], "cancelled", body["state"])
            body["state"] = "cancelled"
            release(tx, appointment)
            tx.put("appointments", appointment.key, body)
            tx.emit("appointment.called_off", {"appointment": appointment.key, "by": staff.subject})
        return tx.put("sessions", session_id, session.body)

    return database.transact_once(claim, change)


def move_slot(
    database: Database, staff: Staff, session_id: str, revision: int, slot: int, start_minute: int
) -> Committed[Document]:
    """Let a slot begin at another minute of its day, with all its patients: an event for each.

    Raises Refused(STALE, SLOT_PAST, DOCTOR_BUSY, PATIENTS_BUSY).
    """

    def change(tx: Transaction) -> Document:
        session = _own_session(tx, staff, session_id)
        unchanged(session, revision)
        if not 0 <= slot < len(session.body["slots"]):
            raise Refused(NOT_FOUND)
        rules.move(session.body, slot, start_minute, tx.now_ms)
        session.body["slots"][slot]["by"] = staff.subject
        moved = {**session.body, "slots": [session.body["slots"][slot]]}
        others = tx.find(
            "sessions_by_doctor",
            (session.body["doctor"], session.body["date"]),
            limit=DAY_SESSIONS_MAX,
        )
        rules.check_apart(
            moved, (hit.document.body for hit in others if hit.document.key != session_id)
        )
        rebook(tx, _waiting(tx, session_id, slot), moved, staff.subject)
        return tx.put("sessions", session_id, session.body)

    return database.transact(change)


def _waiting(tx: Transaction, session_id: str, *slot: int) -> list[Document]:
    """The appointments of a session, or of one slot, whose patients may still be to be seen."""
    return [
        hit.document
        for state in ("booked", "checked_in")
        for hit in tx.find(
            "appointments_by_session", (session_id, state, *slot), limit=SESSION_PLACES_MAX
        )
    ]


def _own_session(view: View, staff: Staff, session_id: str) -> Document:
    session = view.require("sessions", session_id)
    at_desk(view, staff, session.body["hospital"])
    return session


# Reading


def read_session(
    database: Database, session_id: str, freshness: Freshness = PUBLIC
) -> Committed[Document]:
    """A session with its slots, as everyone may see it."""
    return database.read_one("sessions", session_id, freshness)


def list_sessions(
    database: Database,
    whose: str,
    key: str,
    day: date,
    *,
    limit: int,
    after: Position | None,
    freshness: Freshness = PUBLIC,
) -> Committed[list[Hit]]:
    """The sessions of a department or a doctor on one day, stopped ones too."""

    def query(view: ReadView) -> list[Hit]:
        view.require(whose, key)
        equal = (key, day.isoformat())
        return view.find(_INDEXES[whose], equal, limit=limit, after=after)

    return database.read(query, freshness)


def availability(
    database: Database,
    whose: str,
    key: str,
    first: date,
    days: int,
    now_ms: int,
    freshness: Freshness = PUBLIC,
) -> Committed[list[DayPlaces]]:
    """What a department or a doctor has free on each of so many days from `first`.

    At most AVAILABILITY_DAYS_MAX days: with DAY_SESSIONS_MAX they fit into one bounded read.
    """
    shown = [first + timedelta(days=number) for number in range(days)]

    def query(view: ReadView) -> list[DayPlaces]:
        view.require(whose, key)
        by_day: dict[str, list[Body]] = {}
        for hit in view.find(
            _INDEXES[whose],
            (key,),
            limit=days * DAY_SESSIONS_MAX,
            after=(first.isoformat(), ""),
            until=shown[-1].isoformat(),
        ):
            session = hit.document.body
            by_day.setdefault(session["date"], []).append(session)
        return [rules.day_places(day, by_day.get(day.isoformat(), ()), now_ms) for day in shown]

    return database.read(query, freshness)
