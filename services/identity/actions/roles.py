"""Roles: given and taken by those who may, each change remembered with who did it.

Who asks is looked up here and not believed: a token may say what somebody was minutes ago.
"""

from services.identity.domain import accounts, grants, roles
from shared.errors import FORBIDDEN, Refused
from shared.storage.access import (
    FRESH,
    Claim,
    Committed,
    Database,
    Document,
    Freshness,
    Hit,
    Position,
    Transaction,
    View,
)
from shared.storage.catalogue import Body


def give(
    database: Database, claim: Claim, by: str, account: str, role: str, reason: str
) -> Committed[Document]:
    """Give a role, or ask for the second officer's word: the change, or the request. Raises
    Refused: NOT_FOUND, FORBIDDEN, INVALID, OWN_ROLES, ROLE_HELD, DUTIES_APART.
    """

    def change(tx: Transaction) -> Document:
        roles.check_giver(role, by, held(tx, by), account)
        found = tx.require("accounts", account)
        _give(found.body, role, tx.now_ms)
        if roles.needs_second(role):
            # Nothing is given yet: what was changed above only said whether it could be.
            request = roles.new_request(account, role, by, reason, tx.now_ms)
            return tx.put("role_requests", _request(account, role), request)
        tx.put("accounts", account, found.body)
        return _remember(tx, account, role, given=True, by=by, second=None, reason=reason)

    return database.transact_once(claim, change)


def agree(
    database: Database, claim: Claim, by: str, account: str, role: str
) -> Committed[Document]:
    """Agree to another officer's request. Raises Refused: NOT_FOUND, FORBIDDEN, OWN_ROLES,
    SECOND_NEEDED, ROLE_HELD, DUTIES_APART.
    """

    def change(tx: Transaction) -> Document:
        request = tx.require("role_requests", _request(account, role))
        roles.check_giver(role, by, held(tx, by), account)
        roles.check_second(request.body, by)
        if tx.now_ms >= request.body["until_ms"] or "security" not in held(tx, request.body["by"]):
            # Who asked is an officer no longer, or asked too long ago: it has to be asked anew.
            raise Refused(roles.SECOND_NEEDED)
        found = tx.require("accounts", account)
        _give(found.body, role, tx.now_ms)
        tx.put("accounts", account, found.body)
        tx.delete("role_requests", request.key)
        asked = request.body
        return _remember(
            tx, account, role, given=True, by=asked["by"], second=by, reason=asked["reason"]
        )

    return database.transact_once(claim, change)


def take(
    database: Database, claim: Claim, by: str, account: str, role: str, reason: str
) -> Committed[Document]:
    """Take a role; tokens say so with the next refresh. Raises Refused: NOT_FOUND, FORBIDDEN,
    INVALID, OWN_ROLES, ROLE_NOT_HELD.
    """

    def change(tx: Transaction) -> Document:
        roles.check_giver(role, by, held(tx, by), account)
        found = tx.require("accounts", account)
        roles.take(found.body, role)
        tx.put("accounts", account, found.body)
        return _remember(tx, account, role, given=False, by=by, second=None, reason=reason)

    return database.transact_once(claim, change)


def lose_powers(tx: Transaction, account: Document, by: str) -> None:
    """Take the powers of somebody who is invited again, and what they were asked for: whoever holds
    the new invitation can sign in as them, and no one officer makes another. Raises
    Refused(FORBIDDEN) to whoever could not have given each of their roles.
    """
    for role in roles.GIVEN:
        if role in account.body["roles"]:
            roles.check_giver(role, by, held(tx, by), account.key)
    for role in roles.POWERS:
        tx.delete("role_requests", _request(account.key, role))
        if role in account.body["roles"]:
            roles.take(account.body, role)
            _remember(
                tx, account.key, role, given=False, by=by, second=None, reason=roles.INVITED_AGAIN
            )


def list_changes(
    database: Database,
    account: str | None,
    *,
    limit: int,
    after: Position | None,
    freshness: Freshness = FRESH,
) -> Committed[list[Hit]]:
    """Changes of roles, newest first: of one account, or of all."""
    index, equal = ("role_changes_by_time", ()) if account is None else _of(account)
    return database.read(
        lambda view: view.find(index, equal, limit=limit, after=after, descending=True), freshness
    )


def list_requests(
    database: Database, *, limit: int, after: Position | None, freshness: Freshness = FRESH
) -> Committed[list[Hit]]:
    """What waits for a second officer, oldest first."""
    return database.read(
        lambda view: view.find("role_requests_by_time", (), limit=limit, after=after), freshness
    )


def held(view: View, account: str) -> list[str]:
    """The roles that an account has now. Raises Refused(FORBIDDEN) for one that is closed."""
    found = view.get("accounts", account)
    if found is None or found.body["state"] != "open":
        raise Refused(FORBIDDEN)
    names: list[str] = found.body["roles"]
    return names


def _give(account: Body, role: str, now_ms: int) -> None:
    """Give a role. Who is of the staff with it signs in anew, as staff do: tokens from before were
    given for a number alone, and under a citizen's long terms.
    """
    was_staff = grants.is_staff(account["roles"])
    roles.give(account, role)
    if grants.is_staff(account["roles"]) and not was_staff:
        accounts.sign_out(account, now_ms)


def _of(account: str) -> tuple[str, tuple[str, ...]]:
    return "role_changes_by_account", (account,)


def _request(account: str, role: str) -> str:
    return f"{account}.{role}"


def _remember(
    tx: Transaction,
    account: str,
    role: str,
    *,
    given: bool,
    by: str,
    second: str | None,
    reason: str,
) -> Document:
    change = roles.new_change(
        account, role, given=given, by=by, second=second, reason=reason, now_ms=tx.now_ms
    )
    return tx.put("role_changes", tx.new_id("role_change"), change)
