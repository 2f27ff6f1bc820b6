"""Sample stores, for a demonstration: what `data/seed/` says, as documents that say so themselves.

Planted by their fixed ids, once: planting again changes nothing, whatever was ordered meanwhile.
"""

from collections.abc import Sequence

from services.commerce import actions
from services.commerce.divisions import Divisions
from services.commerce.domain import CATEGORIES, PRICE_FEN_MAX
from shared.auth.subjects import SubjectOf
from shared.storage.access import Database
from shared.storage.catalogue import Body

_STORE = ("name_zh", "name_en", "division")
_PRODUCT = (
    "name_zh",
    "name_en",
    "description_zh",
    "description_en",
    "category",
    "division",
    "price",
)


def plant(
    database: Database,
    divisions: Divisions,
    subject_of: SubjectOf,
    stores: Sequence[Body],
    products: Sequence[Body],
) -> int:
    """Put the sample stores there; how many were not there before.

    A store has an `id`, an `owner` (an account id), names and a county's code; a product an `id`,
    a `store`, names, descriptions, a category, a county's code, a price in fen and `on_hand`.
    Raises ValueError on one that could not be entered by hand either, and KeyError on a gap.
    """
    planted = 0
    for store in stores:
        shelf = [product for product in products if product["store"] == store["id"]]
        body = _placed(divisions, {name: store[name] for name in _STORE})
        planted += actions.plant_store(
            database,
            store["id"],
            {**body, "owner": subject_of(store["owner"])},
            [
                (product["id"], _product(divisions, product), product["on_hand"])
                for product in shelf
            ],
        ).value
    return planted


def _product(divisions: Divisions, product: Body) -> Body:
    if product["category"] not in CATEGORIES or not 0 < product["price"] <= PRICE_FEN_MAX:
        raise ValueError(f"{product['id']}: no such category, or no such price")
    return _placed(divisions, {name: product[name] for name in _PRODUCT})


def _placed(divisions: Divisions, body: Body) -> Body:
    county = divisions.county(body["division"])
    if county is None:
        raise ValueError(f"{body['division']} is no county of Gansu")
    return {**body, "prefecture": county.parent}
