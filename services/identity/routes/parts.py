"""What identity's routes share: their parts, and who may call."""

from dataclasses import dataclass

from services.identity.actions.names import Registry
from services.identity.actions.oauth import Issuing
from shared.clock import Clock
from shared.language import Words
from shared.storage.access import Database
from shared.web.routes import Public, Router

PREFIX = "/identity"
TITLE = Words("智慧甘肃 统一身份", "Smart Gansu: identity")

OPERATOR = ("operator",)

APPS = Public(max_age_seconds=2, stale_seconds=60)


@dataclass(frozen=True, slots=True)
class Identity:
    """What the routes work with. Callers are account ids here: identity is where they belong.

    `codes_per_minute` bounds what is sent to all numbers together.
    """

    database: Database
    issuing: Issuing
    clock: Clock
    codes_per_minute: int
    registry: Registry


def new_router() -> Router[Identity]:
    """A router for one module's routes; `routes/__init__.py` puts them together."""
    return Router[Identity](PREFIX, TITLE)
