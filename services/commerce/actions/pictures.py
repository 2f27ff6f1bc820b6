"""The picture of a product."""

from services.commerce.actions import goods
from services.commerce.actions.goods import PUBLIC, Offer
from services.commerce.actions.keepers import Keeper, kept_by, own_product
from services.commerce.pictures import Gallery
from shared.errors import BUSY, NOT_FOUND, Refused
from shared.storage.access import (
    Claim,
    Committed,
    Database,
    Document,
    Freshness,
    ReadView,
    Transaction,
)


def set_picture(
    database: Database,
    gallery: Gallery,
    keeper: Keeper,
    product_id: str,
    claim: Claim,
    sizes: dict[str, bytes] | None,
) -> Committed[Offer]:
    """Give a product a picture in every size (`pictures.sized`), in place of the one it has; None
    takes it away. The bytes are stored before the product names them: a crash in between, or a
    BUSY after which nothing was changed, leaves some that nobody sees.
    """
    _check_own(database, keeper, product_id)
    picture_id = None if sizes is None else gallery.keep(sizes)
    replaced: list[str] = []

    def change(tx: Transaction) -> Document:
        body = dict(own_product(tx, keeper, product_id).body)
        replaced[:] = [body.pop("picture")] if "picture" in body else []
        if picture_id is not None:
            body["picture"] = picture_id
        tx.emit("product.changed", {"product": product_id, **kept_by(keeper)})
        return tx.put("products", product_id, body)

    try:
        made = database.transact_once(claim, change)
    except Refused as refusal:
        # Whoever is told BUSY may have been heard all the same, and the product name these bytes.
        if picture_id is not None and refusal.problem is not BUSY:
            gallery.drop([picture_id])
        raise
    # As everyone sees it now, also in the answer to a repeated request.
    shown = goods.read_product(database, product_id, Freshness(0.0, made.seq))
    # What is not named now never will be again; a repeated request's own is not either.
    seen = shown.value.product.body.get("picture")
    gallery.drop([each for each in (picture_id, *replaced) if each not in (None, seen)])
    return Committed(shown.value, made.seq)


def _check_own(database: Database, keeper: Keeper, product_id: str) -> None:
    """Raise NOT_FOUND before anything of a stranger's is stored. What another container just added
    may be missing a moment ago, so only a fresh look refuses.
    """
    try:
        database.read(lambda view: own_product(view, keeper, product_id), PUBLIC)
    except Refused as refusal:
        if refusal.problem is not NOT_FOUND:
            raise
        database.read(lambda view: own_product(view, keeper, product_id))


def read_picture(
    database: Database,
    gallery: Gallery,
    product_id: str,
    picture_id: str,
    size: str,
    freshness: Freshness = PUBLIC,
) -> Committed[bytes]:
    """One size of the picture that a product has now; one it had before is NOT_FOUND."""

    def query(view: ReadView) -> None:
        if view.require("products", product_id).body.get("picture") != picture_id:
            raise Refused(NOT_FOUND)

    found = database.read(query, freshness)
    return Committed(gallery.read(picture_id, size), found.seq)
