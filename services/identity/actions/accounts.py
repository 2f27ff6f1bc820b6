"""Accounts: made at the first sign-in, or planted; read by whoever has a token of theirs."""

from collections.abc import Sequence

from services.identity.domain import accounts
from shared.storage.access import FRESH, Committed, Database, Document, Freshness, Transaction


def read_account(
    database: Database, account: str, freshness: Freshness = FRESH
) -> Committed[Document]:
    """An account. Raises Refused(NOT_FOUND)."""
    return database.read(lambda view: view.require("accounts", account), freshness)


def account_for(tx: Transaction, phone: str) -> Document:
    """The account that a number (its digest) signs in to, made where there is none."""
    known = tx.get("phones", phone)
    if known is not None:
        return tx.require("accounts", known.body["account"])
    account = accounts.new_account(accounts.CITIZEN, tx.now_ms)
    made = tx.put("accounts", tx.new_id("account"), account)
    tx.put("phones", phone, {"account": made.key})
    return made


def plant_account(
    database: Database, account: str, roles: Sequence[str], phone: str | None = None
) -> Committed[bool]:
    """Make a sample account, and let a number (its digest) lead to it. Whether it was missing."""

    def change(tx: Transaction) -> bool:
        if tx.get("accounts", account) is not None:
            return False
        tx.put("accounts", account, {**accounts.new_account(roles, tx.now_ms), "sample": True})
        if phone is not None:
            tx.put("phones", phone, {"account": account})
        return True

    return database.transact(change)
