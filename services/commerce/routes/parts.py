"""What commerce's routes share: their parts, who may call, how long answers may be kept."""

from dataclasses import dataclass

from services.commerce.actions.keepers import Keeper
from services.commerce.pictures import Gallery
from shared.divisions import Divisions
from shared.language import Words
from shared.storage.access import Database
from shared.web.routes import Call, Public, Router

PREFIX = "/commerce"
TITLE = Words("智慧甘肃 商城", "Smart Gansu: commerce")

SHOP_WINDOW = Public(max_age_seconds=2, stale_seconds=60)
"""Prices and stock: short enough to order by, stale rather than nothing on a bad day."""

REFERENCE = Public(max_age_seconds=3600, stale_seconds=86_400)

CITIZEN = ("citizen",)
MERCHANT = ("merchant", "operator")


@dataclass(frozen=True, slots=True)
class Commerce:
    """What the routes work with. `orders_max`: how many one citizen may place within a minute."""

    database: Database
    divisions: Divisions
    gallery: Gallery
    orders_max: int


def new_router() -> Router[Commerce]:
    """A router for one module's routes; `routes/__init__.py` puts them together."""
    return Router[Commerce](PREFIX, TITLE)


def keeper_of(call: Call[Commerce]) -> Keeper:
    """The caller as somebody who keeps stores."""
    return Keeper(call.identity.subject, operator="operator" in call.identity.roles)
