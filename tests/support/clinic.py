"""Health over HTTP, in-process and in memory.

with Clinic(tmp_path) as clinic:
    session = clinic.session(places=3)
    answer = clinic.book(session, by="citizen-1")

It is 08:00 on Thursday, 2026-01-01, in Gansu. Two hospitals have a desk: `LZU`, whose staff are
hospital-1 and clinician-1, and `DUNHUANG` with hospital-2.
"""

from functools import cache
from pathlib import Path
from typing import Any

import orjson
from werkzeug.test import TestResponse

from services.health.app import create_app
from services.health.domain import CATALOGUE
from shared import divisions, places
from shared.auth.subjects import subjects
from shared.condition import Condition
from shared.places import Places
from shared.storage.access import Database
from shared.storage.entry import decode
from shared.web.service import Application, Edge
from tests.support.ledger import entries_of
from tests.support.served import Json, Served, all_divisions, json_of, made

LZU, DUNHUANG = "lzu-first", "dunhuang-city"
STAFF = {LZU: "hospital-1", DUNHUANG: "hospital-2"}
LIMITS = {"cancel_hours": 24, "no_shows_max": 2, "no_show_days": 30, "barred_days": 10}
MONDAY = "2026-01-05"

PATTERN: Json = {
    "first": MONDAY,
    "last": MONDAY,
    "weekdays": [1],
    "start": "08:00",
    "end": "10:00",
    "slot_minutes": 30,
    "places": 3,
    "release_days": 7,
    "release_time": "07:00",
}


@cache
def all_hospitals() -> Places:
    return places.read(divisions.REFERENCE / "gansu_hospitals.json", all_divisions())


class Clinic(Served):
    """Health, and what its tests put into it."""

    def __init__(self, directory: Path, **options: Any) -> None:
        self._desks_are_open = False
        super().__init__(directory, "health", CATALOGUE, self._create, **options)

    def open_desks(self) -> None:
        """Both hospitals' desks, if they are not open yet."""
        if self._desks_are_open:
            return
        self._desks_are_open = True
        for hospital, member in STAFF.items():
            path = f"/v1/hospitals/{hospital}"
            made(self.post(f"{path}/desk", LIMITS, by="operator-1"))
            for account in (member, member.replace("hospital", "clinician"), "everyone"):
                body = {"account": account, "active": True}
                made(self.post(f"{path}/staff", body, by="operator-1"))

    def set_limits(self, **changes: int) -> None:
        """Other limits of the first hospital's, for what is booked from now on."""
        path = f"/v1/hospitals/{LZU}/desk"
        self.clock.pass_monotonic(2)
        match = {"If-Match": self.get(path).headers["ETag"]}
        answer = self.ask("PUT", path, {**LIMITS, **changes}, by=STAFF[LZU], headers=match)
        assert answer.status_code == 200, answer.text

    def department(self, hospital: str = LZU) -> str:
        """A new department's id."""
        body = {"name_zh": "内科", "name_en": "Internal medicine"}
        path = f"/v1/hospitals/{hospital}/departments"
        return str(made(self.post(path, body, by=STAFF[hospital]))["id"])

    def doctor(self, department: str = "", hospital: str = LZU) -> str:
        """A new doctor's id."""
        path = f"/v1/departments/{department or self.department(hospital)}/doctors"
        body = {"name_zh": "示例医生 01", "name_en": "Sample doctor 01"}
        return str(made(self.post(path, body, by=STAFF[hospital]))["id"])

    def publish(self, doctor: str, by: str = "hospital-1", **changes: Any) -> TestResponse:
        path = f"/v1/doctors/{doctor}/schedule"
        return self.post(path, {**PATTERN, **changes}, by=by)

    def session(self, doctor: str = "", hospital: str = LZU, **changes: Any) -> Json:
        """A new session on the first Monday, of a new doctor unless one is given."""
        doctor = doctor or self.doctor(hospital=hospital)
        publication = made(self.publish(doctor, by=STAFF[hospital], **changes))
        return self.read(publication["made"][0])

    def read(self, session_id: str) -> Json:
        """A session as it is now."""
        self.clock.pass_monotonic(2)
        return json_of(self.get(f"/v1/sessions/{session_id}"))

    def move(self, session: Json, slot: object, start: str, by: str = "hospital-1") -> TestResponse:
        """Move a slot, as somebody who read the session just now."""
        path = f"/v1/sessions/{session['id']}"
        self.clock.pass_monotonic(2)
        match = {"If-Match": self.get(path).headers["ETag"]}
        return self.ask("PATCH", f"{path}/slots/{slot}", {"start": start}, by=by, headers=match)

    def events(self) -> list[tuple[str, Json]]:
        """Everything that was ever said, in order."""
        entries = entries_of(self.store, "health/")
        said = [event for seq, e in enumerate(entries, 1) for event in decode(e, seq).events]
        return [(event.kind, orjson.loads(event.data)) for event in said]

    def free(self, session: Json) -> list[int]:
        """What is free in each slot."""
        return [slot["free"] for slot in self.read(session["id"])["slots"]]

    def book(
        self, session: Json, slot: int = 0, by: str = "citizen-1", **options: Any
    ) -> TestResponse:
        body = {"session_id": session["id"], "starts_at": session["slots"][slot]["starts_at"]}
        return self.post("/v1/appointments", body, by=by, **options)

    def booked(self, session: Json, slot: int = 0, by: str = "citizen-1") -> Json:
        """A new appointment, a second after whatever was before it."""
        self.clock.pass_wall(seconds=1)
        return made(self.book(session, slot, by))

    def cancel(self, appointment: Json, by: str = "citizen-1", **options: Any) -> TestResponse:
        return self.post(f"/v1/appointments/{appointment['id']}/cancellation", by=by, **options)

    def at_desk(
        self, what: str, appointment: Json, by: str = "hospital-1", **options: Any
    ) -> TestResponse:
        """Check in, or mark as no-show."""
        hospital = options.pop("hospital", appointment["hospital_id"])
        path = f"/v1/hospitals/{hospital}/appointments/{appointment['id']}/{what}"
        return self.post(path, by=by, **options)

    def _create(self, database: Database, edge: Edge, condition: Condition) -> Application:
        subject_of = subjects(self.subject_key)
        return create_app(database, all_hospitals(), all_divisions(), subject_of, edge, condition)
