"""Grants: what one sign-in to one app comes to. An authorization code, then refresh tokens.

    code ──redeemed──► open ──used twice, taken back──► revoked
      └──used twice───────────────────────────────────►

A grant is one document: its one code, and the number of its newest refresh token. Each refresh
makes the next number good. The number before is answered once more for `GRACE_MS`, with the same
successor, while nobody has used that: a reply that was lost, or two at once. Any other number is a
token that two hold, and ends the grant (RFC 9700, section 4.14.2).
"""

from dataclasses import dataclass

from shared.storage.catalogue import Body, Collection, Index
from shared.times import DAY_MS, HOUR_MS, MINUTE_MS

COLLECTIONS = (
    Collection(
        "grants",
        # When it is over, whatever its state: it is removed then.
        indexes=(Index("grants_by_end", ("until_ms",)),),
    ),
)

CODE_MS = MINUTE_MS
"""How long a code is good for: an app redeems it at once (RFC 6749, section 4.1.2: ten at most)."""

GRACE_MS = MINUTE_MS
"""How long a refresh whose reply was lost is answered again."""

IDLE_MS = 30 * DAY_MS
WHOLE_MS = 180 * DAY_MS
"""A citizen's grant ends when it was not refreshed for so long, and in any case after so long."""

STAFF_IDLE_MS = HOUR_MS
STAFF_WHOLE_MS = 12 * HOUR_MS
"""That of somebody who keeps other people's affairs: a shift."""

KEPT_MS = DAY_MS
"""How long a grant is remembered after its end, so that late repeats are still told apart."""

CITIZEN_ROLES = frozenset({"citizen", "merchant"})


@dataclass(frozen=True, slots=True)
class Asked:
    """What an authorization request asked for, as far as the token request has to agree."""

    client: str
    redirect: str
    scope: str
    challenge: str
    nonce: str


def new_grant(account: str, asked: Asked, *, staff: bool, now_ms: int) -> Body:
    """A grant whose code is yet to be redeemed."""
    whole_ms = STAFF_WHOLE_MS if staff else WHOLE_MS
    return {
        "account": account,
        "client": asked.client,
        "redirect": asked.redirect,
        "scope": asked.scope,
        "challenge": asked.challenge,
        "nonce": asked.nonce,
        "staff": staff,
        "state": "code",
        "number": 0,
        "signed_in_ms": now_ms,
        "good_ms": now_ms + CODE_MS,
        "end_ms": now_ms + whole_ms,
        "until_ms": now_ms + CODE_MS + KEPT_MS,
    }


def is_staff(roles: list[str]) -> bool:
    """Whether somebody with these roles keeps other people's affairs."""
    return not CITIZEN_ROLES.issuperset(roles)


def redeem(grant: Body, now_ms: int) -> bool:
    """Use a grant's code, once. False where it is not good; a second use ends the grant."""
    if grant["state"] != "code":
        revoke(grant, now_ms)
        return False
    if now_ms >= grant["good_ms"]:
        return False
    grant["state"] = "open"
    grant["rotated_ms"] = now_ms
    _prolong(grant, now_ms)
    return True


def stands(grant: Body, now_ms: int) -> bool:
    """Whether the sign-in goes on: its code was redeemed, and it has not ended since."""
    return bool(grant["state"] == "open" and now_ms < grant["good_ms"])


def rotate(grant: Body, number: int, now_ms: int) -> bool:
    """Use a refresh token. False where it is not good; one that was used before ends the grant."""
    if not stands(grant, now_ms):
        return False
    if number == grant["number"]:
        grant["number"] += 1
        grant["rotated_ms"] = now_ms
        _prolong(grant, now_ms)
        return True
    if number == grant["number"] - 1 and now_ms < grant["rotated_ms"] + GRACE_MS:
        return True
    revoke(grant, now_ms)
    return False


def revoke(grant: Body, now_ms: int) -> None:
    """End a grant for good."""
    grant["state"] = "revoked"
    grant["until_ms"] = max(now_ms, grant["good_ms"]) + KEPT_MS


def _prolong(grant: Body, now_ms: int) -> None:
    idle_ms = STAFF_IDLE_MS if grant["staff"] else IDLE_MS
    grant["good_ms"] = min(now_ms + idle_ms, grant["end_ms"])
    grant["until_ms"] = grant["good_ms"] + KEPT_MS
