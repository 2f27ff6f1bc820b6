"""A patient's days: one document for a patient and a date, with what holds a place on it.

It is what keeps a person from being in two places: whatever gives, moves or takes back a place
goes through here.
"""

from collections.abc import Sequence

from services.health.domain.appointments import check_room, entry_of, move, overlap
from services.health.domain.problems import PATIENTS_BUSY
from services.health.domain.schedules import end_ms
from shared.errors import Refused
from shared.storage.access import Document, Transaction
from shared.storage.catalogue import Body


def occupy(tx: Transaction, appointment_id: str, appointment: Body) -> None:
    """Set time aside for a new appointment. Raises Refused(BOOKED_ALREADY, TIME_TAKEN)."""
    entries = _entries(tx, appointment)
    wanted = entry_of(appointment_id, appointment)
    check_room(entries, wanted, appointment["account"])
    _keep(tx, appointment, [*entries, wanted])


def release(tx: Transaction, appointment: Document) -> None:
    """Give back the time of an appointment that is cancelled."""
    _keep(tx, appointment.body, _without(_entries(tx, appointment.body), appointment.key))


def rebook(tx: Transaction, appointments: Sequence[Document], moved: Body, by: str) -> None:
    """Move appointments to where the one slot of `moved` is now, on the same day, and say so.

    One that is there already was not moved, and nobody is told. Raises Refused(PATIENTS_BUSY) where
    a patient has no time then; how many is all it says.
    """
    slot = moved["slots"][0]
    busy = 0
    for appointment in appointments:
        body = appointment.body
        if body["start_ms"] == slot["start_ms"]:
            continue
        move(body, slot["start_ms"], end_ms(moved, slot))
        others = _without(_entries(tx, body), appointment.key)
        wanted = entry_of(appointment.key, body)
        busy += any(overlap(entry, wanted) for entry in others)
        _keep(tx, body, [*others, wanted])
        tx.put("appointments", appointment.key, body)
        tx.emit("appointment.moved", {"appointment": appointment.key, "by": by})
    if busy:
        raise Refused(PATIENTS_BUSY, detail={"patients": busy})


def _entries(tx: Transaction, appointment: Body) -> list[Body]:
    day = tx.get("days", _key(appointment))
    return [] if day is None else list(day.body["entries"])


def _without(entries: Sequence[Body], appointment_id: str) -> list[Body]:
    return [entry for entry in entries if entry["appointment"] != appointment_id]


def _keep(tx: Transaction, appointment: Body, entries: Sequence[Body]) -> None:
    if entries:
        tx.put("days", _key(appointment), {"entries": list(entries)})
    else:
        tx.delete("days", _key(appointment))


def _key(appointment: Body) -> str:
    return f"{appointment['patient']}.{appointment['date']}"
