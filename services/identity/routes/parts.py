"""What identity's routes share: their parts, and who may call."""

from dataclasses import dataclass

from services.identity.actions.keys import Keys
from services.identity.domain.secrets import Secrets
from shared.clock import Clock
from shared.language import Words
from shared.storage.access import Database
from shared.web.routes import Router

PREFIX = "/identity"
TITLE = Words("智慧甘肃 统一身份", "Smart Gansu: identity")

OPERATOR = ("operator",)


@dataclass(frozen=True, slots=True)
class Identity:
    """What the routes work with. Callers are account ids here: identity is where they belong.

    `issuer` is the address that tokens name, without a slash at its end.
    """

    database: Database
    secrets: Secrets
    keys: Keys
    clock: Clock
    issuer: str
    token_seconds: int
    codes_per_minute: int


def new_router() -> Router[Identity]:
    """A router for one module's routes; `routes/__init__.py` puts them together."""
    return Router[Identity](PREFIX, TITLE)
