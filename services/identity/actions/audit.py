"""Audit: what was done to clients and signing keys, noted in the transaction that does it."""

from collections.abc import Iterable

from services.identity.domain import audit
from shared.storage.access import (
    FRESH,
    Committed,
    Database,
    Freshness,
    Hit,
    Position,
    Transaction,
)


def note(
    tx: Transaction,
    what: str,
    about: str,
    by: str,
    *,
    members: Iterable[str] = (),
    reason: str | None = None,
) -> None:
    """Note what is done in this transaction."""
    event = audit.new_event(what, about, by, members, reason, tx.now_ms)
    tx.put("audit_events", tx.new_id("audit_event"), event)


def list_events(
    database: Database, *, limit: int, after: Position | None, freshness: Freshness = FRESH
) -> Committed[list[Hit]]:
    """All events, newest first."""
    return database.read(
        lambda view: view.find(
            "audit_events_by_time", (), limit=limit, after=after, descending=True
        ),
        freshness,
    )
