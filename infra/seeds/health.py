"""Planting the demonstration's sample clinics: `python -m infra.seeds.health`, with health's
environment.

Hospitals are real; their departments, doctors and hours here are not, and say so. Sessions are
those of two weeks from today, each under a fixed id, so that planting again adds the days that are
new and changes nothing else.
"""

import json
from datetime import timedelta

from infra.seeds import SEED, planting
from services.health.actions import desks, schedules
from services.health.domain import AVAILABILITY_DAYS_MAX, CATALOGUE
from services.health.domain.schedules import Pattern, session_id
from services.health.schemas.schedules import pattern_of
from shared import terminal
from shared.auth.subjects import SubjectOf
from shared.storage.access import Database
from shared.storage.catalogue import Body
from shared.times import day_of


def samples() -> Body:
    """The file of samples."""
    read: Body = json.loads((SEED / "health.json").read_text(encoding="utf-8"))
    return read


def last_planted(now_ms: int) -> str:
    """Where the session stands that is planted last."""
    read = samples()
    pattern = _pattern(read, now_ms)
    key = session_id(read["doctors"][-1]["id"], pattern.days[-1], pattern.start_minute)
    return f"/health/v1/sessions/{key}"


def plant(database: Database, subject_of: SubjectOf, now_ms: int) -> int:
    """Plant what is missing; how many sessions that was.

    Staff and clinicians are sample accounts (infra/seeds/identity.py), named after their
    hospital; what is kept is their subjects.
    """
    read = samples()
    pattern = _pattern(read, now_ms)
    planted = 0
    for hospital in dict.fromkeys(row["hospital"] for row in read["departments"]):
        departments = [row for row in read["departments"] if row["hospital"] == hospital]
        ids = {row["id"] for row in departments}
        doctors = [row for row in read["doctors"] if row["department"] in ids]
        desks.plant_desk(
            database,
            hospital,
            read["limits"],
            [subject_of(f"{kind}-{hospital}") for kind in ("hospital", "clinician")],
            [(row["id"], _names(row)) for row in departments],
            [(row["id"], {**_names(row), "department": row["department"]}) for row in doctors],
        )
        planted += schedules.plant_sessions(database, [row["id"] for row in doctors], pattern).value
    return planted


def _names(row: Body) -> Body:
    return {name: row[name] for name in ("name_zh", "name_en")}


def _pattern(read: Body, now_ms: int) -> Pattern:
    """The hours of all sample doctors, for two weeks from today."""
    first = day_of(now_ms)
    last = first + timedelta(days=AVAILABILITY_DAYS_MAX - 1)
    return pattern_of({**read["schedule"], "first": str(first), "last": str(last)})


def main() -> None:
    """Plant into the health database that the environment names."""
    planting("health", CATALOGUE, plant)


if __name__ == "__main__":
    terminal.prepare()
    main()
