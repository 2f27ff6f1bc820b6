"""Accounts: who can sign in, what they are to the platform, and the numbers that lead to them.

An account's id is what access tokens name as `sub`. Services make a subject of it, each its own,
and store nothing else; only identity stores ids.
"""

from collections.abc import Iterable, Sequence

from shared.storage.catalogue import Body, Collection, Index

COLLECTIONS = (
    # `officer` is there where the account is a security officer, so that those are found.
    Collection("accounts", indexes=(Index("officers", ("officer",)),)),
    # The account that a mobile number signs in to; under the number's keyed digest, which is all
    # that a document keeps of it.
    Collection("phones"),
)

CITIZEN = ("citizen",)
"""What everybody is who signs in with a number for the first time."""

STATES = ("open", "closed")


def new_account(roles: Sequence[str], now_ms: int) -> Body:
    """An account that can sign in."""
    account = {"state": "open", "made_ms": now_ms}
    put_roles(account, roles)
    return account


def put_roles(account: Body, roles: Iterable[str]) -> None:
    """Let these be the roles of an account."""
    account["roles"] = sorted(roles)
    account.pop("officer", None)
    if "security" in account["roles"]:
        account["officer"] = 1


def sign_out(account: Body, now_ms: int) -> None:
    """End every sign-in that the account has until now, on whatever phone."""
    account["signed_out_ms"] = now_ms


def is_signed_out(account: Body, signed_in_ms: int) -> bool:
    """Whether a sign-in of that time has been ended by the account."""
    return signed_in_ms <= int(account.get("signed_out_ms", -1))


def may_sign_in(account: Body) -> bool:
    return bool(account["state"] == "open")
