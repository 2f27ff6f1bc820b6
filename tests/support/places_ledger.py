"""An auditor of tourism's journal, with none of the service's rules in it.

    assert audit(entries_of(store, "tourism/")) == []

It checks at *every* entry, for what that entry touches: free + held + sold = capacity for each
session and none is below zero; held and sold are exactly what the bookings say; a day counts what
its sessions have held and sold, and never above the attraction's daily maximum; no person has two
tickets for one attraction and day.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import orjson

from shared.storage.entry import decode

Body = dict[str, Any]

_COUNTED = {"held": "held", "confirmed": "sold"}


def audit(entries: Iterable[bytes]) -> list[str]:
    """Walk a journal from entry 1; each broken law is a sentence."""
    books = _Books()
    for seq, stored in enumerate(entries, 1):
        books.take(seq, stored)
    return books.faults


def confirmed_in(entries: Iterable[bytes]) -> set[str]:
    """The bookings that are confirmed at the end."""
    states: dict[str, str] = {}
    for seq, stored in enumerate(entries, 1):
        for write in decode(stored, seq).writes:
            if write.collection == "bookings" and write.body is not None:
                states[write.key] = orjson.loads(write.body)["state"]
    return {key for key, state in states.items() if state == "confirmed"}


class _Books:
    def __init__(self) -> None:
        self.faults: list[str] = []
        self._documents: dict[str, dict[str, Body]] = {
            name: {} for name in ("sessions", "bookings", "days", "operators")
        }
        self._taken: Counter[tuple[str, str]] = Counter()
        self._tickets: Counter[str] = Counter()

    def take(self, seq: int, stored: bytes) -> None:
        touched: set[str] = set()
        for write in decode(stored, seq).writes:
            kept = self._documents.get(write.collection)
            if kept is None:
                continue
            if write.body is None:
                self.faults.append(f"entry {seq}: {write.collection}/{write.key} is deleted")
                continue
            body = orjson.loads(write.body)
            if write.collection == "bookings":
                self._book(kept.get(write.key), -1)
                self._book(body, +1)
                touched.add(body["session"])
            if write.collection == "sessions":
                touched.add(write.key)
            kept[write.key] = body
        for session in sorted(touched):
            self._check(seq, session)
        doubled = [key for key, count in self._tickets.items() if count > 1]
        self.faults += [f"entry {seq}: {key} has two tickets" for key in doubled]

    def _book(self, booking: Body | None, sign: int) -> None:
        if booking is None or booking["state"] not in _COUNTED:
            return
        # A closed session leaves a booking the tickets that were used, and the others are void.
        tickets = [ticket for ticket in booking["tickets"] if not ticket.get("void")]
        self._taken[booking["session"], _COUNTED[booking["state"]]] += sign * len(tickets)
        for ticket in tickets:
            self._tickets[f"{_day_of(booking)}.{ticket['visitor']}"] += sign

    def _check(self, seq: int, key: str) -> None:
        session = self._documents["sessions"][key]
        free, held, sold = (session[name] for name in ("free", "held", "sold"))
        if min(free, held, sold) < 0 or free + held + sold != session["capacity"]:
            self.faults.append(f"entry {seq}: {key} leaks: {session}")
        if (held, sold) != (self._taken[key, "held"], self._taken[key, "sold"]):
            self.faults.append(f"entry {seq}: {key} is not what bookings say: {session}")
        day = self._documents["days"].get(_day_of(session), {"booked": 0})
        of_day = [s for s in self._documents["sessions"].values() if _day_of(s) == _day_of(session)]
        booked = sum(each["held"] + each["sold"] for each in of_day)
        most = self._documents["operators"][session["attraction"]]["daily_max"]
        if day["booked"] != booked or booked > most:
            self.faults.append(f"entry {seq}: {_day_of(session)} counts {day}, not {booked}")


def _day_of(placed: Body) -> str:
    return f"{placed['attraction']}.{placed['day']}"
