"""What was done to clients and signing keys, and by whom: an event each, never changed or removed.

Changes of roles have documents of their own (`roles`), and who invited whom stands with the staff.
"""

from collections.abc import Iterable

from shared.storage.catalogue import Body, Collection, Index

COLLECTIONS = (Collection("audit_events", indexes=(Index("audit_events_by_time", ("at_ms",)),)),)

REASON_MAX = 200

WHAT = (
    "client_registered",
    "client_changed",
    "client_secret_renewed",
    "client_closed",
    "client_of_office",
    "key_withdrawn",
)


def new_event(
    what: str, about: str, by: str, members: Iterable[str], reason: str | None, now_ms: int
) -> Body:
    """An event; `about` is the id of a client or key, `members` what was changed of it."""
    return {
        "what": what,
        "about": about,
        "by": by,
        "members": sorted(members),
        "reason": reason,
        "at_ms": now_ms,
    }
