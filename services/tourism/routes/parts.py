"""What tourism's routes share: their parts, who may call, how long answers may be kept."""

from dataclasses import dataclass
from typing import Any

from services.tourism.actions.keepers import Keeper
from services.tourism.schemas.tickets import check_document
from shared.auth.subjects import DigestOf
from shared.clock import Clock
from shared.divisions import Divisions
from shared.language import Words
from shared.places import Places
from shared.storage.access import Database
from shared.times import day_of
from shared.web.routes import Call, Public, Router

PREFIX = "/tourism"
TITLE = Words("智慧甘肃 文旅", "Smart Gansu: tourism")

CALENDAR = Public(max_age_seconds=2, stale_seconds=60)
"""What is left and how crowded it is: stale rather than nothing on a bad day."""

REFERENCE = Public(max_age_seconds=3600, stale_seconds=86_400)

CITIZEN = ("citizen",)
STAFF = ("scenic_staff", "operator")
GATE = ("gate", *STAFF)


@dataclass(frozen=True, slots=True)
class Tourism:
    """What the routes work with."""

    database: Database
    attractions: Places
    divisions: Divisions
    digest_of: DigestOf
    clock: Clock


def new_router() -> Router[Tourism]:
    """A router for one module's routes; `routes/__init__.py` puts them together."""
    return Router[Tourism](PREFIX, TITLE)


def keeper_of(call: Call[Tourism]) -> Keeper:
    """The caller as somebody who works at an attraction."""
    return Keeper(call.identity.subject, operator="operator" in call.identity.roles)


def visitor_of(call: Call[Tourism], document: Any, field: str) -> str:
    """What is kept of an identity document. Raises Refused(INVALID) on `field`."""
    check_document(document, day_of(call.parts.clock.now_ms()), f"{field}.number")
    return call.parts.digest_of(document["kind"], document["number"])
