"""The samples of each service, and how they are planted (infra/services.py)."""

import json
from collections.abc import Callable
from pathlib import Path

from shared import settings
from shared.assembly import open_database
from shared.auth.subjects import SubjectOf, subjects
from shared.clock import SystemClock
from shared.storage.access import Database
from shared.storage.catalogue import Body, Catalogue

SEED = Path(__file__).parents[2] / "data" / "seed"


def rows(name: str) -> list[Body]:
    """The rows of a file of samples."""
    read: list[Body] = json.loads((SEED / name).read_text(encoding="utf-8"))
    return read


def planting(
    service: str, catalogue: Catalogue, plant: Callable[[Database, SubjectOf, int], int]
) -> None:
    """Run `plant(database, subject_of, now_ms)` on the database that the environment names."""
    loaded, clock = settings.load(), SystemClock()
    database = open_database(loaded, service, catalogue, clock)
    try:
        planted = plant(database, subjects(loaded.subject_key), clock.now_ms())
    finally:
        database.close()
    print(f"Planted {planted} samples of {service}")
