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


def account_of(name: str) -> str:
    """The account id of a sample account. Gates are clients that act for themselves, under their
    own name.
    """
    return name if name.startswith("gate-") else f"account_sample-{name}"


def planting(
    service: str, catalogue: Catalogue, plant: Callable[[Database, SubjectOf, int], int]
) -> None:
    """Run `plant(database, subject_of, now_ms)` on the database that the environment names;
    `subject_of` takes the name of a sample account.
    """
    loaded, clock = settings.load(), SystemClock()
    of = subjects(loaded.subject_key)
    database = open_database(loaded, service, catalogue, clock)
    try:
        planted = plant(database, lambda name: of(account_of(name)), clock.now_ms())
    finally:
        database.close()
    print(f"Planted {planted} samples of {service}")
