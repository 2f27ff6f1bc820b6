"""Appointments: booked, read and cancelled by patients; settled by a desk's staff."""

from services.health.actions.days import occupy, release
from services.health.actions.keepers import Staff, at_desk
from services.health.domain import TO_COME_MAX, schedules
from services.health.domain import appointments as rules
from services.health.domain.problems import SLOT_GONE, TOO_MANY
from shared.auth.acting import Actor, note, told
from shared.errors import NOT_FOUND, Refused
from shared.storage.access import (
    FRESH,
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
)
from shared.storage.catalogue import Body


def book(
    database: Database,
    patient: str,
    claim: Claim,
    session_id: str,
    start_ms: int,
    actor: Actor | None = None,
) -> Committed[Document]:
    """Book the slot of a session that starts at `start_ms`, as the caller saw it. It is for who
    comes, and theirs: whoever acts for somebody has a token of that person's.

    Raises Refused(NOT_OPEN_YET, FULLY_BOOKED, BOOKED_ALREADY, TIME_TAKEN, BARRED,
    TOO_MANY, …).
    """

    def change(tx: Transaction) -> Document:
        session = tx.get("sessions", session_id)
        if session is None:
            raise Refused(SLOT_GONE)
        number = schedules.bookable(session.body, start_ms, tx.now_ms)
        desk = tx.require("desks", session.body["hospital"]).body
        body = rules.new_appointment(patient, session, number, desk["cancel_hours"], tx.now_ms)
        rules.check_not_barred(_missed(tx, body), desk, tx.now_ms)
        _check_few_to_come(tx, patient)
        note(body, "booked", actor)
        appointment_id = tx.new_id("appointment")
        occupy(tx, appointment_id, body)
        schedules.take(session.body["slots"][number])
        tx.put("sessions", session_id, session.body)
        tx.emit("appointment.booked", {"appointment": appointment_id, **told(actor)})
        return tx.put("appointments", appointment_id, body)

    return database.transact_once(claim, change)


def _check_few_to_come(tx: Transaction, account: str) -> None:
    """Raise TOO_MANY; what is over counts no more, whether the desk has settled it or not."""
    ahead = (tx.now_ms + 1, "")
    found = tx.find("appointments_to_come", (account, "booked"), after=ahead, limit=TO_COME_MAX)
    if len(found) == TO_COME_MAX:
        raise Refused(TOO_MANY)


def cancel(
    database: Database,
    account: str,
    appointment_id: str,
    claim: Claim,
    actor: Actor | None = None,
) -> Committed[Document]:
    """Cancel an appointment that the account booked. Raises Refused(NOT_BOOKED, TOO_LATE)."""

    def change(tx: Transaction) -> Document:
        appointment = _own(tx.require("appointments", appointment_id), account)
        rules.cancel(appointment.body, tx.now_ms)
        release(tx, appointment)
        note(appointment.body, "cancelled", actor)
        return _settled(tx, appointment, "appointment.cancelled", told(actor))

    return database.transact_once(claim, change)


def read(
    database: Database, account: str, appointment_id: str, freshness: Freshness = FRESH
) -> Committed[Document]:
    """An appointment that the account booked."""
    found = database.read_one("appointments", appointment_id, freshness)
    _own(found.value, account)
    return found


def list_own(
    database: Database,
    account: str,
    *,
    limit: int,
    after: Position | None,
    freshness: Freshness = FRESH,
) -> Committed[list[Hit]]:
    """The appointments that an account booked, last booked first."""

    def query(view: ReadView) -> list[Hit]:
        return view.find(
            "appointments_by_account", (account,), limit=limit, after=after, descending=True
        )

    return database.read(query, freshness)


def _own(appointment: Document, account: str) -> Document:
    if appointment.body["account"] != account:
        raise Refused(NOT_FOUND)
    return appointment


def _settled(
    tx: Transaction, appointment: Document, event: str, who: Body, was: str = "booked"
) -> Document:
    """Count an appointment whose state was just changed in its slot, and say that it happened, with
    what the event is to tell of `who` did it.
    """
    session = tx.require("sessions", appointment.body["session"])
    slot = session.body["slots"][appointment.body["slot"]]
    schedules.settle(slot, appointment.body["state"], was)
    tx.put("sessions", session.key, session.body)
    tx.emit(event, {"appointment": appointment.key, **who})
    return tx.put("appointments", appointment.key, appointment.body)


# A desk's


def check_in(
    database: Database, staff: Staff, hospital_id: str, appointment_id: str, claim: Claim
) -> Committed[Document]:
    """Note that a patient is there, once; whoever was noted as absent on that day was not.

    Raises Refused(NOT_BOOKED, NOT_TODAY).
    """

    def change(tx: Transaction) -> Document:
        appointment = _at_hospital(tx, staff, hospital_id, appointment_id)
        body = appointment.body
        was = body["state"]
        rules.check_in(body, tx.now_ms)
        if was == "no_show":
            _remember(tx, body, [each for each in _missed(tx, body) if each != body["start_ms"]])
        return _settled(tx, appointment, "appointment.checked_in", {"by": staff.subject}, was)

    return database.transact_once(claim, change)


def miss(
    database: Database, staff: Staff, hospital_id: str, appointment_id: str, claim: Claim
) -> Committed[Document]:
    """Note that a patient did not come, which is remembered where it counts.

    Raises Refused(NOT_BOOKED, NOT_OVER).
    """

    def change(tx: Transaction) -> Document:
        appointment = _at_hospital(tx, staff, hospital_id, appointment_id)
        rules.miss(appointment.body, tx.now_ms)
        if rules.counts(appointment.body):
            missed = [*_missed(tx, appointment.body), appointment.body["start_ms"]]
            _remember(tx, appointment.body, missed)
        return _settled(tx, appointment, "appointment.missed", {"by": staff.subject})

    return database.transact_once(claim, change)


def _missed(tx: Transaction, appointment: Body) -> list[int]:
    """When the patient of an appointment missed others at that hospital."""
    absences = tx.get("absences", _absences_key(appointment))
    return [] if absences is None else list(absences.body["missed"])


def _remember(tx: Transaction, appointment: Body, missed: list[int]) -> None:
    """Keep of these absences what can still count."""
    desk = tx.require("desks", appointment["hospital"]).body
    kept = rules.remembered(missed, desk, tx.now_ms)
    if kept:
        tx.put("absences", _absences_key(appointment), {"missed": kept})
    else:
        tx.delete("absences", _absences_key(appointment))


def _absences_key(appointment: Body) -> str:
    return f"{appointment['patient']}.{appointment['hospital']}"


def read_at_desk(
    database: Database,
    staff: Staff,
    hospital_id: str,
    appointment_id: str,
    freshness: Freshness = FRESH,
) -> Committed[Document]:
    """An appointment at a hospital, for its staff."""
    return database.read(
        lambda view: _at_hospital(view, staff, hospital_id, appointment_id), freshness
    )


def list_of_session(
    database: Database,
    staff: Staff,
    session_id: str,
    state: str,
    *,
    limit: int,
    after: Position | None,
    freshness: Freshness = FRESH,
) -> Committed[list[Hit]]:
    """A session's appointments in one state, by slot, for the hospital's staff."""

    def query(view: ReadView) -> list[Hit]:
        session = view.require("sessions", session_id)
        at_desk(view, staff, session.body["hospital"])
        return view.find("appointments_by_session", (session_id, state), limit=limit, after=after)

    return database.read(query, freshness)


def _at_hospital(view: View, staff: Staff, hospital_id: str, appointment_id: str) -> Document:
    at_desk(view, staff, hospital_id)
    appointment = view.require("appointments", appointment_id)
    if appointment.body["hospital"] != hospital_id:
        raise Refused(NOT_FOUND)
    return appointment
