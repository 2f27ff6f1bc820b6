"""Who keeps a store, and what of it they may touch."""

from dataclasses import dataclass

from shared.errors import NOT_FOUND, Refused
from shared.storage.access import Document, View
from shared.storage.catalogue import Body


@dataclass(frozen=True, slots=True)
class Keeper:
    """Who acts on a store: its owner, or an operator of the platform, who may act on any."""

    subject: str
    operator: bool = False


def kept_by(keeper: Keeper) -> Body:
    """What an event says of who did it: an operator may keep what is another's."""
    return {"by": keeper.subject}


def own_store(view: View, keeper: Keeper, store_id: str) -> Document:
    store = view.require("stores", store_id)
    if store.body["owner"] != keeper.subject and not keeper.operator:
        raise Refused(NOT_FOUND)
    return store


def own_product(view: View, keeper: Keeper, product_id: str) -> Document:
    product = view.require("products", product_id)
    own_store(view, keeper, product.body["store"])
    return product
