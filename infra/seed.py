"""Planting the demonstration's sample stores: `python -m infra.seed`, with a service's environment.

Every store is one transaction under a fixed id, so that planting again changes nothing, however far
an earlier attempt came and whatever was sold since.
"""

import json
from pathlib import Path

from services.commerce import actions, divisions
from services.commerce.divisions import Divisions
from services.commerce.domain import CATALOGUE
from shared import settings
from shared.assembly import open_database
from shared.auth.subjects import SubjectOf, subjects
from shared.clock import SystemClock
from shared.storage.access import Database
from shared.storage.catalogue import Body

_DATA = Path(__file__).parents[1] / "data"
_DIVISIONS = _DATA / "reference" / "gansu_divisions.csv"
SEED = _DATA / "seed"

_STORE_MEMBERS = ("name_zh", "name_en", "division")
_PRODUCT_MEMBERS = (
    *_STORE_MEMBERS,
    "description_zh",
    "description_en",
    "category",
    "price",
)


def plant(database: Database, subject_of: SubjectOf, counties: Divisions, seed: Path) -> int:
    """Plant what is missing; how many stores that was.

    A store's `owner` is an account of the development issuer; what is kept is its subject.
    """
    products = _read(seed / "products.json")
    planted = 0
    for store in _read(seed / "stores.json"):
        owned = {"owner": subject_of(store["owner"]), **_placed(store, _STORE_MEMBERS, counties)}
        shelf = [
            (product["id"], _placed(product, _PRODUCT_MEMBERS, counties), product["on_hand"])
            for product in products
            if product["store"] == store["id"]
        ]
        planted += actions.plant_store(database, store["id"], owned, shelf).value
    return planted


def _placed(row: Body, members: tuple[str, ...], counties: Divisions) -> Body:
    county = counties.county(row["division"])
    assert county is not None, f"{row['id']}: {row['division']} is no county"  # noqa: S101
    return {**{member: row[member] for member in members}, "prefecture": county.parent}


def _read(path: Path) -> list[Body]:
    rows: list[Body] = json.loads(path.read_text(encoding="utf-8"))
    return rows


def main() -> None:
    """Plant into the commerce database that the environment names."""
    loaded, clock = settings.load(), SystemClock()
    database = open_database(loaded, "commerce", CATALOGUE, clock)
    try:
        planted = plant(database, subjects(loaded.subject_key), divisions.read(_DIVISIONS), SEED)
    finally:
        database.close()
    print(f"Planted {planted} sample stores")


if __name__ == "__main__":
    main()
