"""Accounts: made at the first sign-in, or planted; read by whoever has a token of theirs."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.identity.domain import accounts
from shared.storage.access import (
    FRESH,
    Claim,
    Committed,
    Database,
    Document,
    Freshness,
    Transaction,
)


def read_account(
    database: Database, account: str, freshness: Freshness = FRESH
) -> Committed[Document]:
    """An account. Raises Refused(NOT_FOUND)."""
    return database.read_one("accounts", account, freshness)


def sign_out(database: Database, claim: Claim, account: str) -> Committed[Document]:
    """End every sign-in of an account. Raises Refused(NOT_FOUND)."""

    def change(tx: Transaction) -> Document:
        found = tx.require("accounts", account)
        accounts.sign_out(found.body, tx.now_ms)
        return tx.put("accounts", account, found.body)

    return database.transact_once(claim, change)


def account_for(tx: Transaction, phone: str) -> Document:
    """The account that a number (its digest) signs in to, made where there is none."""
    known = tx.get("phones", phone)
    if known is not None:
        return tx.require("accounts", known.body["account"])
    account = accounts.new_account(accounts.CITIZEN, tx.now_ms)
    made = tx.put("accounts", tx.new_id("account"), account)
    tx.put("phones", phone, {"account": made.key})
    return made


@dataclass(frozen=True, slots=True)
class Sample:
    """An account to plant; `phone` is its number's digest."""

    account: str
    roles: Sequence[str]
    phone: str


def plant_accounts(database: Database, samples: Sequence[Sample]) -> Committed[int]:
    """Make the sample accounts that are missing; how many they were."""

    def change(tx: Transaction) -> int:
        missing = [sample for sample in samples if tx.get("accounts", sample.account) is None]
        for sample in missing:
            body = {**accounts.new_account(sample.roles, tx.now_ms), "sample": True}
            tx.put("accounts", sample.account, body)
            tx.put("phones", sample.phone, {"account": sample.account})
        return len(missing)

    return database.transact(change)
