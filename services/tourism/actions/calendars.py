"""Sessions as they are shown, with the places that can be booked now.

That depends on more than a session: on whether its sale has begun, on the time, and on how many
more may visit the attraction on that day. Nothing is decided on it: a hold looks again.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from services.tourism import domain
from services.tourism.actions.keepers import PUBLIC, Keeper, kept
from shared.storage.access import (
    FRESH,
    Committed,
    Database,
    Document,
    Freshness,
    Position,
    ReadView,
)
from shared.storage.catalogue import Body

_SESSIONS_AT_ONCE = 500
"""Sessions that a calendar has in memory at once; a month may have thousands."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A session, how many of its places can be booked now, and where it stands in a list."""

    session: Document
    available: int
    position: Position = ()


@dataclass(frozen=True, slots=True)
class DayPlaces:
    """A day of a product: its open sessions, and the places that can be booked now."""

    day: str
    sessions: int
    available: int


def read_session(
    database: Database, session_id: str, now_ms: int, freshness: Freshness = PUBLIC
) -> Committed[Offer]:
    """A session, as everyone may see it."""

    def query(view: ReadView) -> Offer:
        session = view.require("sessions", session_id)
        product = view.require("products", session.body["product"]).body
        room = _room(view, session.body)
        return Offer(session, domain.available(session.body, product, room, now_ms))

    return database.read(query, freshness)


def list_sessions(
    database: Database, product_id: str, day: str, now_ms: int, freshness: Freshness = PUBLIC
) -> Committed[list[Offer]]:
    """The sessions of a product on one day, in order of time."""

    def query(view: ReadView) -> list[Offer]:
        product = view.require("products", product_id).body
        room = _room(view, {"attraction": product["attraction"], "day": day})
        return [
            Offer(session, domain.available(session.body, product, room, now_ms))
            for session in _sessions_of(view, product_id, day)
        ]

    return database.read(query, freshness)


def read_calendar(
    database: Database, product_id: str, days: list[str], now_ms: int, freshness: Freshness = PUBLIC
) -> Committed[list[DayPlaces]]:
    """Those of some days on which a product has sessions."""

    def query(view: ReadView) -> list[DayPlaces]:
        product = view.require("products", product_id).body
        found = (_day_places(view, product_id, product, day, now_ms) for day in days)
        return [places for places in found if places is not None]

    return database.read(query, freshness)


def _day_places(
    view: ReadView, product_id: str, product: Body, day: str, now_ms: int
) -> DayPlaces | None:
    """None where there are no sessions."""
    room = _room(view, {"attraction": product["attraction"], "day": day})
    listed = opened = available = 0
    for session in _sessions_of(view, product_id, day):
        listed += 1
        opened += session.body["state"] == "open"
        available += domain.available(session.body, product, room, now_ms)
    return DayPlaces(day, opened, min(available, room)) if listed else None


def _sessions_of(view: ReadView, product_id: str, day: str) -> Iterator[Document]:
    """All sessions of a product on one day, in order of time."""
    after: Position | None = None
    while True:
        hits = view.find(
            "sessions_by_product", (product_id, day), limit=_SESSIONS_AT_ONCE, after=after
        )
        yield from (hit.document for hit in hits)
        if len(hits) < _SESSIONS_AT_ONCE:
            return
        after = hits[-1].position


def list_own_sessions(
    database: Database,
    keeper: Keeper,
    attraction: str,
    day: str,
    now_ms: int,
    *,
    limit: int,
    after: Position | None,
    freshness: Freshness = FRESH,
) -> Committed[list[Offer]]:
    """All sessions of a day at the keeper's attraction, in order of time."""

    def query(view: ReadView) -> list[Offer]:
        kept(view, keeper, attraction)
        room = _room(view, {"attraction": attraction, "day": day})
        offers = []
        for hit in view.find("sessions_by_attraction", (attraction, day), limit=limit, after=after):
            session = hit.document.body
            product = view.require("products", session["product"]).body
            available = domain.available(session, product, room, now_ms)
            offers.append(Offer(hit.document, available, hit.position))
        return offers

    return database.read(query, freshness)


def _room(view: ReadView, placed: Body) -> int:
    """How many more may visit an attraction on the day of a session."""
    daily_max: int = view.require("operators", placed["attraction"]).body["daily_max"]
    day = view.get("days", domain.day_key(placed))
    return daily_max if day is None else max(0, daily_max - day.body["booked"])
