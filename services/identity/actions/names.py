"""Real names: verified with the authority, sealed, shown masked to their owner.

The authority and the vault are asked before the change: a change does no I/O. The same request may
come again at any point; what it left behind is found and completed.
"""

from dataclasses import dataclass

from services.identity.actions.counts import count
from services.identity.actions.erasures import Erased, erasing, forget_name
from services.identity.domain import names
from services.identity.domain.names import Person, Verifier
from services.identity.domain.secrets import Secrets
from shared.errors import NOT_FOUND, Refused
from shared.sealing import Unreadable, Vault
from shared.storage.access import (
    FRESH,
    Claim,
    Committed,
    Database,
    Document,
    Freshness,
    Transaction,
    View,
)


@dataclass(frozen=True, slots=True)
class Registry:
    """What names are verified and kept with."""

    vault: Vault
    verifier: Verifier
    secrets: Secrets

    def digest(self, person: Person) -> str:
        return self.secrets.known(names.KIND, person.number)


def verify(
    database: Database, own: Registry, account: str, person: Person, now_ms: int
) -> Committed[Document]:
    """Verify who the owner of an account is: whose name, ID number and mobile number. Raises
    Refused: INVALID on `phone` unless the account signs in by it, GUARDIAN_NEEDED, NOT_VERIFIED,
    NUMBER_TAKEN, NAME_KNOWN, VERIFIER_DOWN, TOO_MANY_CODES, BUSY.
    """
    names.check_age(person, now_ms)
    # Counted before anything is said of the account: neither its number nor its phone is to be
    # guessed at, and a repetition would tell the right one.
    count_attempt(database, account)
    digest = own.digest(person)

    def look(view: View) -> tuple[Document | None, bool]:
        phone = view.get("phones", own.secrets.phone(person.phone or ""))
        is_own = phone is not None and phone.body["account"] == account
        return view.get("names", account), is_own

    read = database.read(look)
    known, is_own = read.value
    if known is not None:
        names.check_same(known.body, digest)
        before = opened(own, account, known)
        if before is not None and is_own and before.phone == person.phone:
            return Committed(known, read.seq, replayed=True)
    if not is_own:
        raise names.not_own_phone()
    if not own.verifier.belongs(person):
        raise Refused(names.NOT_VERIFIED)
    sealed = own.vault.seal("names", account, names.content(person))

    def change(tx: Transaction, erased: Erased) -> Document:
        _outgrow(tx, digest, person, erased)
        return keep(tx, account, digest, sealed, own.verifier.source)

    return erasing(own.vault, lambda erased: database.transact(lambda tx: change(tx, erased)))


def _outgrow(tx: Transaction, digest: str, person: Person, erased: Erased) -> None:
    """Close the account that guardians had for a child who has turned fourteen, and forget the name
    there: the number is free for the account of one's own, where alone it is read and erased now.
    """
    taken = tx.get("id_numbers", digest)
    if taken is None or names.is_younger(person.born, names.CHILD_YEARS, tx.now_ms):
        return
    account = tx.require("accounts", taken.body["account"])
    if account.body.get("child"):
        tx.put("accounts", account.key, {**account.body, "state": "closed"})
        forget_name(tx, account.key, erased)


def count_attempt(database: Database, account: str) -> None:
    """One try more that an account has at a name. Raises Refused(TOO_MANY_CODES)."""
    database.transact(lambda tx: count(tx, f"names.{account}", names.ATTEMPTS))


def keep(tx: Transaction, account: str, digest: str, sealed: str, source: str) -> Document:
    """Keep a verified name; an account has one, and a number one account. What is kept already is
    replaced: its key may have been erased since it was sealed. Raises NUMBER_TAKEN, NAME_KNOWN.
    """
    taken = tx.get("id_numbers", digest)
    if taken is not None and taken.body["account"] != account:
        raise Refused(names.NUMBER_TAKEN)
    known = tx.get("names", account)
    if known is not None:
        names.check_same(known.body, digest)
    tx.put("id_numbers", digest, {"account": account})
    return tx.put("names", account, names.new_name(sealed, digest, source, tx.now_ms))


def read(
    database: Database, own: Registry, account: str, freshness: Freshness = FRESH
) -> tuple[Committed[Document], Person]:
    """An account's verified name. Raises Refused(NOT_FOUND), also for one that was erased."""
    found = database.read_one("names", account, freshness)
    person = opened(own, account, found.value)
    if person is None:
        raise Refused(NOT_FOUND)
    return found, person


def person_of(database: Database, own: Registry, account: str) -> Person | None:
    """Who an account was verified as; None where it was not."""
    found = database.read(lambda view: view.get("names", account)).value
    return None if found is None else opened(own, account, found)


def opened(own: Registry, account: str, name: Document) -> Person | None:
    """The person in a sealed name; None where its key was erased."""
    try:
        return names.opened(own.vault.unseal("names", account, name.body["sealed"]))
    except Unreadable:
        return None


def forget(database: Database, own: Registry, claim: Claim, account: str) -> Committed[Document]:
    """Forget an account's name, in the immutable journal too; the account. An erasure that was done
    takes no key again: that would be one of a name verified since. Raises Refused: NOT_FOUND, BUSY.
    """

    def change(tx: Transaction, erased: Erased) -> Document:
        tx.require("names", account)
        forget_name(tx, account, erased)
        return tx.require("accounts", account)

    return erasing(
        own.vault, lambda erased: database.transact_once(claim, lambda tx: change(tx, erased))
    )
