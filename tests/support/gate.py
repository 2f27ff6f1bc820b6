"""Tourism over HTTP, in-process and in memory.

with Gate(tmp_path) as gate:
    session = gate.open_session(capacity=10)
    booking = gate.hold(session, 2, by="citizen-1")
"""

from itertools import count
from pathlib import Path
from typing import Any

import orjson
from werkzeug.test import TestResponse

from services.tourism.actions import sessions as actions
from services.tourism.actions.upkeep import UPKEEP
from services.tourism.app import create_app
from services.tourism.domain import CATALOGUE
from shared import divisions, places
from shared.auth.subjects import documents, service_subject
from shared.condition import Condition
from shared.storage.access import Database
from shared.storage.entry import decode
from shared.times import DAY_MS, clock_of, day_of, milliseconds
from shared.web.service import Application, Edge
from tests.support.ledger import entries_of
from tests.support.served import Json, Served, all_divisions, json_of, made

ATTRACTIONS = divisions.REFERENCE / "gansu_attractions.json"
DAILY_MAX = 100
PRODUCT: Json = {
    "attraction": "mogao",
    "name_zh": "莫高窟（示例）",
    "name_en": "Mogao Caves (sample)",
    "description_zh": "示例",
    "description_en": "A sample",
    "price": 10_000,
    "days_ahead": 30,
    "hold_minutes": 15,
}


class Gate(Served):
    """Tourism with a kept attraction, `mogao`, that sells `ticket`; and what its tests do there."""

    def __init__(self, directory: Path, **options: Any) -> None:
        super().__init__(directory, "tourism", CATALOGUE, self._create, **options)
        names = ("scenic-1", "gate-1", "everyone")
        people = [service_subject(name, self.subject_key) for name in names]
        kept = {"staff": [people[0], people[2]], "gates": people[1:2], "daily_max": DAILY_MAX}
        actions.plant_operator(self.database, "mogao", kept)
        actions.plant_product(self.database, "ticket", PRODUCT, [], [])
        # Nobody works in two places.
        actions.plant_operator(self.database, "danxia", {**kept, "staff": [], "gates": []})
        self._starts = count(1)
        self._people = count(1)

    @property
    def tomorrow(self) -> str:
        return day_of(self.clock.now_ms() + DAY_MS).isoformat()

    def open_session(self, capacity: int = 10, day: str | None = None, hours: int = 2) -> str:
        """A new session's id; each starts a minute after the one before."""
        start = 600 + next(self._starts)
        day = day or self.tomorrow
        pattern = pattern_of(day, (start, start + hours * 60, capacity))
        made(self.post("/v1/products/ticket/sessions", pattern, by="scenic-1"))
        return f"ticket.{day.replace('-', '')}.{start // 60:02d}{start % 60:02d}"

    def visitors(self, number: int = 1) -> list[Json]:
        """People with documents that nobody else has."""
        return [visitor(next(self._people)) for _ in range(number)]

    def hold(
        self, session: str, number: int = 1, *, by: str = "citizen-1", **options: Any
    ) -> TestResponse:
        """Ask for places for new people."""
        body = {"session_id": session, "visitors": self.visitors(number)}
        return self.post("/v1/bookings", body, by=by, **options)

    def act(
        self, booking: Json, what: str, *, by: str = "citizen-1", **options: Any
    ) -> TestResponse:
        """Confirm or cancel: `what` is confirmation or cancellation."""
        return self.post(f"/v1/bookings/{booking['id']}/{what}", by=by, **options)

    def confirmed(self, session: str, number: int = 1, by: str = "citizen-1") -> Json:
        """A confirmed booking."""
        return made(self.act(made(self.hold(session, number, by=by)), "confirmation", by=by))

    def admit(
        self, ticket: str, body: Json | None = None, *, by: str = "gate-1", **options: Any
    ) -> TestResponse:
        return self.post(f"/v1/tickets/{ticket}/admission", body or {}, by=by, **options)

    def counts(self, session: str) -> Json:
        """What staff see of a session."""
        path = f"/v1/attractions/mogao/sessions?limit=100&day={_day(session)}"
        rows = json_of(self.get(path, by="scenic-1"))["items"]
        return next(row for row in rows if row["id"] == session)

    def journal(self) -> tuple[dict[str, list[Json]], list[tuple[str, Json]]]:
        """All that was ever written: bodies by collection, and events; both in order."""
        bodies: dict[str, list[Json]] = {}
        events = []
        for seq, stored in enumerate(entries_of(self.store, "tourism/"), 1):
            entry = decode(stored, seq)
            events += [(event.kind, orjson.loads(event.data)) for event in entry.events]
            for write in entry.writes:
                if write.body is not None:
                    bodies.setdefault(write.collection, []).append(orjson.loads(write.body))
        return bodies, events

    def is_untidy(self) -> bool:
        """Whether the service's chore is due."""
        now_ms = self.clock.now_ms()
        return self.database.read(lambda view: UPKEEP.due(view, now_ms)).value

    def tidy(self) -> None:
        """Do the chore once, as a container does while it serves."""
        self.database.transact(UPKEEP.change)

    def _create(self, database: Database, edge: Edge, condition: Condition) -> Application:
        attractions = places.read(ATTRACTIONS, all_divisions())
        digest_of = documents(self.subject_key)
        return create_app(database, attractions, all_divisions(), digest_of, edge, condition)

    def to_start(self, session: str) -> None:
        """Move the clock to when a session starts."""
        starts = json_of(self.get(f"/v1/sessions/{session}"))["starts_at"]
        self.clock.wall_ms = milliseconds(starts)


def _day(session: str) -> str:
    written = session.split(".")[1]
    return f"{written[:4]}-{written[4:6]}-{written[6:]}"


def pattern_of(day: str, *windows: tuple[int, int, int], last: str | None = None) -> Json:
    """A pattern of every day from one to another; windows in minutes since midnight."""
    return {
        "first_day": day,
        "last_day": last or day,
        "weekdays": [1, 2, 3, 4, 5, 6, 7],
        "windows": [
            {"start": clock_of(start), "end": clock_of(end), "capacity": capacity}
            for start, end, capacity in windows
        ],
    }


def visitor(number: int) -> Json:
    return {"document": {"kind": "passport", "number": f"E{number:08d}"}}
