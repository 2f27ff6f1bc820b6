"""Planting the demonstration's sample tickets: `python -m infra.seeds.tourism`, with tourism's
environment.

Sessions are those of today and of the days for which the sale is open; each has a fixed id, so that
planting again adds the days that are new, and changes nothing else.
"""

import json
from datetime import date, timedelta

from infra.seeds import SEED, planting
from services.tourism.actions import sessions as actions
from services.tourism.domain import CATALOGUE, Window, session_key
from shared import terminal
from shared.auth.subjects import SubjectOf
from shared.storage.access import Database
from shared.storage.catalogue import Body
from shared.times import day_of, minutes_of

_PRODUCT_MEMBERS = (
    "attraction",
    "name_zh",
    "name_en",
    "description_zh",
    "description_en",
    "price",
    "days_ahead",
    "hold_minutes",
)
_DAYS_AT_ONCE = 10


def samples() -> Body:
    """The file of samples."""
    read: Body = json.loads((SEED / "tourism.json").read_text(encoding="utf-8"))
    return read


def last_planted(now_ms: int) -> str:
    """Where the session stands that is planted last."""
    product = samples()["products"][-1]
    key = session_key(product["id"], _days(product, now_ms)[-1], _windows(product)[-1].start)
    return f"/tourism/v1/sessions/{key}"


def plant(database: Database, subject_of: SubjectOf, now_ms: int) -> int:
    """Plant what is missing; how many sessions that was.

    Staff and gates are sample accounts (infra/seeds/identity.py); what is kept is their
    subjects.
    """
    read = samples()
    for operator in read["operators"]:
        theirs = {
            "staff": [subject_of(account) for account in operator["staff"]],
            "gates": [subject_of(account) for account in operator["gates"]],
            "daily_max": operator["daily_max"],
        }
        actions.plant_operator(database, operator["attraction"], theirs)
    planted = 0
    for row in read["products"]:
        product, days = {name: row[name] for name in _PRODUCT_MEMBERS}, _days(row, now_ms)
        for first in range(0, len(days), _DAYS_AT_ONCE):
            some = days[first : first + _DAYS_AT_ONCE]
            made = actions.plant_product(database, row["id"], product, some, _windows(row))
            planted += made.value
    return planted


def _days(product: Body, now_ms: int) -> list[date]:
    today = day_of(now_ms)
    return [today + timedelta(days=ahead) for ahead in range(product["days_ahead"] + 1)]


def _windows(product: Body) -> list[Window]:
    return [
        Window(minutes_of(start), minutes_of(end), capacity)
        for start, end, capacity in product["windows"]
    ]


def main() -> None:
    """Plant into the tourism database that the environment names."""
    planting("tourism", CATALOGUE, plant)


if __name__ == "__main__":
    terminal.prepare()
    main()
