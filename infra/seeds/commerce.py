"""Planting the demonstration's sample stores: `python -m infra.seeds.commerce`, with commerce's
environment.

Every store is one transaction under a fixed id, so that planting again changes nothing, however far
an earlier attempt came and whatever was sold since.
"""

from infra.seeds import planting, rows
from services.commerce.actions import goods
from services.commerce.domain import CATALOGUE
from shared import divisions, terminal
from shared.auth.subjects import SubjectOf
from shared.divisions import Divisions
from shared.storage.access import Database
from shared.storage.catalogue import Body

_STORE_MEMBERS = ("name_zh", "name_en", "division")
_PRODUCT_MEMBERS = (
    *_STORE_MEMBERS,
    "description_zh",
    "description_en",
    "category",
    "price",
)


def last_planted(now_ms: int) -> str:  # noqa: ARG001 - stores stay, whatever day it is
    """Where the sample store stands that is planted last."""
    return f"/commerce/v1/stores/{rows('stores.json')[-1]['id']}"


def plant(database: Database, subject_of: SubjectOf, counties: Divisions) -> int:
    """Plant what is missing; how many stores that was.

    A store's `owner` is a sample account (infra/seeds/identity.py); what is kept is its subject.
    """
    products = rows("products.json")
    planted = 0
    for store in rows("stores.json"):
        owned = {"owner": subject_of(store["owner"]), **_placed(store, _STORE_MEMBERS, counties)}
        shelf = [
            (product["id"], _placed(product, _PRODUCT_MEMBERS, counties), product["on_hand"])
            for product in products
            if product["store"] == store["id"]
        ]
        planted += goods.plant_store(database, store["id"], owned, shelf).value
    return planted


def _placed(row: Body, members: tuple[str, ...], counties: Divisions) -> Body:
    return counties.placed({member: row[member] for member in members})


def main() -> None:
    """Plant into the commerce database that the environment names."""
    counties = divisions.read(divisions.FILE)
    planting("commerce", CATALOGUE, lambda database, of, _: plant(database, of, counties))


if __name__ == "__main__":
    terminal.prepare()
    main()
