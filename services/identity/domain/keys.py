"""Signing keys: ES256, each published before it signs and until its last token has expired.

    made ──published──► signs from `from_ms` to `until_ms` ──published──► gone at `gone_ms`
      └──withdrawn──────────┴──withdrawn───────────────────────┴──withdrawn──► gone at once

A key is made a while before the one before it ends, so that whoever verifies has it by then. The
private half is sealed where it stands. Containers agree because the journal decides: whoever
commits first makes the key, all others find it there.
"""

from collections.abc import Iterable

from shared.errors import Problem
from shared.storage.catalogue import Body, Collection, Index
from shared.times import DAY_MS, HOUR_MS

COLLECTIONS = (Collection("keys", indexes=(Index("keys_by_end", ("gone_ms",)),)),)

SIGNS_MS = 30 * DAY_MS
AHEAD_MS = 2 * DAY_MS
"""How long before its first token a key is published. Services look every five minutes
(`shared.auth.keys`), and a provider's standard client at least daily."""

TOKEN_MS_MAX = 24 * HOUR_MS
"""No access token lives longer, so after this nobody needs the key that signed it."""

KEYS_MAX = 10
"""Far more than there ever are at a time."""


NONE_OPENS = Problem(
    "no-key-opens",
    409,
    "现用密封密钥尚未用于任何签名密钥",
    "No signing key opens with this sealing key: the containers have to use it first",
)


def new_key(jwk: Body, sealed: str, from_ms: int) -> Body:
    """A key that signs from then on; `jwk` is its public half."""
    return {
        "jwk": jwk,
        "sealed": sealed,
        "from_ms": from_ms,
        "until_ms": from_ms + SIGNS_MS,
        "gone_ms": from_ms + SIGNS_MS + TOKEN_MS_MAX,
    }


def next_from_ms(keys: Iterable[Body], now_ms: int) -> int | None:
    """From when a key has to sign that is yet to be made; None while there are enough."""
    last_ms = max((key["until_ms"] for key in keys), default=0)
    if last_ms > now_ms + AHEAD_MS:
        return None
    return max(last_ms, now_ms)


def begin_now(key: Body, now_ms: int) -> None:
    """Let a key sign from now on that was to sign later."""
    key["from_ms"] = now_ms


def signs(key: Body, now_ms: int) -> bool:
    """Whether it is the key to sign with."""
    return bool(key["from_ms"] <= now_ms < key["until_ms"])
