"""Ticket products, what staff do with their sessions, and how crowded an attraction is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from services.tourism import domain
from services.tourism.actions.keepers import PUBLIC, Keeper, kept, kept_session
from services.tourism.actions.places import release_expired
from services.tourism.domain import Pattern, Window
from shared.storage.access import (
    FRESH,
    Claim,
    Committed,
    Database,
    Document,
    Freshness,
    Hit,
    Position,
    ReadView,
    Transaction,
    unchanged,
)
from shared.storage.catalogue import Body
from shared.times import day_of


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a session's capacity was asked to be, and the session as it is."""

    asked: Document
    session: Body


@dataclass(frozen=True, slots=True)
class Crowd:
    """An attraction on one day. `daily_max` is None where nobody keeps the attraction here."""

    day: str
    booked: int
    admitted: int
    daily_max: int | None
    thresholds: tuple[int, ...]
    sample: bool


# Samples


def plant_operator(database: Database, attraction: str, operator: Body) -> Committed[bool]:
    """Let an attraction be kept by `staff` and `gates`, with at most `daily_max` visitors a day.
    False where it is already.
    """

    def change(tx: Transaction) -> bool:
        if tx.get("operators", attraction) is not None:
            return False
        tx.put("operators", attraction, {**operator, "sample": True})
        return True

    return database.transact(change)


def plant_product(
    database: Database,
    product_id: str,
    product: Body,
    days: Sequence[date],
    windows: Sequence[Window],
) -> Committed[int]:
    """Put a sample product there, and its sessions of these days; how many sessions are new."""
    pattern = [(day, window) for day in days for window in windows]

    def change(tx: Transaction) -> int:
        if tx.get("products", product_id) is None:
            tx.put("products", product_id, {**product, "sample": True})
        return sum(_open(tx, product_id, product, day, window) for day, window in pattern)

    return database.transact(change)


# Products and sessions


def list_products(
    database: Database,
    attraction: str,
    *,
    limit: int,
    after: Position | None,
    freshness: Freshness = PUBLIC,
) -> Committed[list[Hit]]:
    """The ticket products of an attraction."""

    def query(view: ReadView) -> list[Hit]:
        return view.find("products_by_attraction", (attraction,), limit=limit, after=after)

    return database.read(query, freshness)


def read_product(
    database: Database, product_id: str, freshness: Freshness = PUBLIC
) -> Committed[Document]:
    """A ticket product."""
    return database.read_one("products", product_id, freshness)


def open_sessions(
    database: Database, keeper: Keeper, product_id: str, claim: Claim, pattern: Pattern
) -> Committed[Document]:
    """Open the sessions of a pattern; one that is there already stays as it is."""

    def change(tx: Transaction) -> Document:
        product = tx.require("products", product_id).body
        kept(tx, keeper, product["attraction"])
        domain.check_pattern(pattern, day_of(tx.now_ms))
        wanted = [(day, window) for day in pattern.days() for window in pattern.windows]
        opened = sum(_open(tx, product_id, product, day, window) for day, window in wanted)
        body = {
            "product": product_id,
            "opened": opened,
            "kept": len(wanted) - opened,
            "by": keeper.subject,
        }
        return tx.put("openings", tx.new_id("opening"), body)

    return database.transact_once(claim, change)


def _open(tx: Transaction, product_id: str, product: Body, day: date, window: Window) -> bool:
    """Whether the session was not there before."""
    key = domain.session_key(product_id, day, window.start)
    if tx.get("sessions", key) is not None:
        return False
    tx.put("sessions", key, domain.new_session(product_id, product, day, window))
    tx.put("capacities", key, {"requested": window.capacity})
    return True


def read_capacity(
    database: Database, keeper: Keeper, session_id: str, freshness: Freshness = FRESH
) -> Committed[Capacity]:
    """The capacity of a session, for those who keep it."""

    def query(view: ReadView) -> Capacity:
        session = kept_session(view, keeper, session_id)
        return Capacity(view.require("capacities", session_id), session.body)

    return database.read(query, freshness)


def change_capacity(
    database: Database, keeper: Keeper, session_id: str, revision: int, requested: int
) -> Committed[Capacity]:
    """Give a session as many places as are asked for, or as many as are taken while that is more.

    Raises Refused(STALE, CLOSED).
    """

    def change(tx: Transaction) -> Capacity:
        session = kept_session(tx, keeper, session_id)
        unchanged(tx.require("capacities", session_id), revision)
        release_expired(tx, session)
        domain.set_capacity(session.body, requested)
        tx.put("sessions", session_id, session.body)
        tx.emit("session.cap_changed", {"session": session_id, "by": keeper.subject})
        asked = {"requested": requested, "by": keeper.subject}
        return Capacity(tx.put("capacities", session_id, asked), session.body)

    return database.transact(change)


def read_crowd(
    database: Database, attraction: str, day: str, freshness: Freshness = PUBLIC
) -> Committed[Crowd]:
    """How many booked and came on a day."""

    def query(view: ReadView) -> Crowd:
        operator = view.get("operators", attraction)
        found = view.get("days", f"{attraction}.{day}")
        counts = domain.new_day() if found is None else found.body
        kept = {} if operator is None else operator.body
        thresholds = tuple(kept.get("thresholds", domain.THRESHOLDS))
        return Crowd(
            day,
            counts["booked"],
            counts["admitted"],
            kept.get("daily_max"),
            thresholds,
            kept.get("sample", False),
        )

    return database.read(query, freshness)
