"""Staff: invited by an operator, enrolled by themselves, signed in by password and second factor.

    try_ = staff.look(database, own, given, now_ms)  outside a transaction: it takes time
    account = staff.settle(tx, secrets, try_)  in the one that signs in; None: refused

`sign_in` does both. A caller that grants something in the same transaction calls them itself. An
unknown name costs the same hash, the same reads and the same counts as a wrong password.

A page that comes again (its reply was lost) is answered again for the code that it used: `attempt`
is the page's own id. Anybody else with the same code is refused.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import TypeVar

import orjson

from services.identity.actions.names import Registry
from services.identity.actions.roles import held, lose_powers
from services.identity.domain import accounts, staff
from services.identity.domain.secrets import Secrets, same
from services.identity.domain.staff import Tried
from shared import waiting
from shared.errors import BUSY, FORBIDDEN, Refused, invalid
from shared.storage.access import Claim, Committed, Database, Document, Transaction, View

T = TypeVar("T")

HASHES_AT_ONCE = 4
"""Each takes 19 MiB: what guesses fill memory with is bounded."""

HASHES_WAITING = 12
"""Each waits in a thread that others need as well: guesses, however many, take few of them. The
last waits for three hashes or so; whoever comes then is told at once to come back.
"""

_ROOM = BoundedSemaphore(HASHES_AT_ONCE)
_DOOR = BoundedSemaphore(HASHES_AT_ONCE + HASHES_WAITING)

# A hash of bytes that nobody knows, with today's parameters: a test holds them against each other.
_NOBODY = (
    "$argon2id$v=19$m=19456,t=2,p=1$"
    "My2kKmjlvRa05Aaab4u1AA$VBtEUdL16BO29zjlgHmspbVKZfx10w9DiJpIlOU0Bio"
)
_NOBODYS_SECRET = base64.b32encode(bytes(staff.SECRET_BYTES)).decode()


@dataclass(frozen=True, slots=True)
class Given:
    """What somebody brings to sign in; `address` is a digest, `attempt` the page's id, `browser_of`
    the account that signed in from the browser last.
    """

    name: str
    password: str
    code: str
    address: str
    attempt: str
    browser_of: str | None = None


@dataclass(frozen=True, slots=True)
class Try:
    """A try whose password was looked at, with what `sealed` holds; `rehashed` is what is kept in
    its place, sealed too.
    """

    given: Given
    name: str
    account: str | None
    sealed: str | None
    secret: str
    right: bool
    rehashed: str | None


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What somebody gets when they have enrolled: shown once."""

    account: str
    recovery: list[str]


def invite(
    database: Database, secrets: Secrets, claim: Claim, by: str, name: str
) -> Committed[Document]:
    """Make an account for somebody, without roles yet. Raises Refused: FORBIDDEN, INVALID,
    NAME_TAKEN.
    """
    digest = secrets.known("staff", staff.name_of(name))

    def change(tx: Transaction) -> Document:
        _check_inviter(tx, by)
        if tx.get("staff_names", digest) is not None:
            raise Refused(staff.NAME_TAKEN)
        account = tx.new_id("account")
        tx.put("accounts", account, accounts.new_account((), tx.now_ms))
        tx.put("staff_names", digest, {"account": account})
        return tx.put("staff", account, {**staff.new_staff(digest, tx.now_ms), "by": by})

    # Before a replay as well, which shows an invitation again without running anything.
    database.read(lambda view: _check_inviter(view, by))
    return database.transact_once(claim, change)


def invite_again(database: Database, claim: Claim, by: str, account: str) -> Committed[Document]:
    """A new invitation for somebody who lost theirs, their password or their phone; it signs them
    out, and takes what only two officers can give. Raises Refused: FORBIDDEN, NOT_FOUND.
    """

    def look(view: View) -> Document:
        found = view.require("staff", account)
        _check_inviter(view, by)
        if by == account:
            raise Refused(FORBIDDEN)
        return found

    def change(tx: Transaction) -> Document:
        found = look(tx)
        staff.invite_again(found.body, tx.now_ms)
        known = tx.require("accounts", account)
        lose_powers(tx, known, by)
        accounts.sign_out(known.body, tx.now_ms)
        tx.put("accounts", account, known.body)
        return tx.put("staff", account, {**found.body, "by": by})

    database.read(look)
    return database.transact_once(claim, change)


def _check_inviter(view: View, by: str) -> None:
    if not {"operator", "security"} & set(held(view, by)):
        raise Refused(FORBIDDEN, detail={"roles": ["operator", "security"]})


@dataclass(frozen=True, slots=True)
class Enrolling:
    """A second factor that is being enrolled; `ticket` brings it back, sealed."""

    secret: str
    ticket: str


def begin_enrolment(database: Database, secrets: Secrets, invitation: str) -> Enrolling:
    """A second factor for whoever was invited. It is random, and not known to who invited. Raises
    Refused(INVITATION_OVER).
    """
    read = secrets.invitation_of(invitation)
    if read is None:
        raise Refused(staff.INVITATION_OVER)

    def change(tx: Transaction) -> None:
        found = tx.get("staff", read.account)
        if found is None:
            raise Refused(staff.INVITATION_OVER)
        staff.check_invited(found.body, read.number, tx.now_ms)

    database.transact(change)
    secret = base64.b32encode(secrets.fresh(staff.SECRET_BYTES))
    ticket = secrets.sealing.seal("enrolments", invitation, secret)
    return Enrolling(secret.decode(), ticket)


def secret_of(secrets: Secrets, invitation: str, ticket: str) -> str:
    """The second factor in a ticket of this invitation's. Raises Refused(INVITATION_OVER)."""
    try:
        return secrets.sealing.unseal("enrolments", invitation, ticket).decode()
    except ValueError:
        raise Refused(staff.INVITATION_OVER) from None


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What somebody enrols with: an invitation, `begin_enrolment`'s ticket, and their own."""

    invitation: str
    ticket: str
    name: str
    password: str
    code: str


def enrol(database: Database, own: Registry, given: Enrolment) -> Enrolled:
    """Begin to sign in: with a password, and a code that shows that the second factor works.
    Repeated with the same invitation it is refused, and whoever lost the reply is invited again.
    Raises Refused: INVITATION_OVER, INVALID, BUSY.
    """
    secrets = own.secrets
    read = secrets.invitation_of(given.invitation)
    if read is None:
        raise Refused(staff.INVITATION_OVER)
    secret = secret_of(secrets, given.invitation, given.ticket)
    name = staff.name_of(given.name)
    digest = secrets.known("staff", name)
    kept = _hashing(lambda: staff.hashed(given.password, name))
    sealed = _sealed(own, read.account, kept, secret)
    recovery = secrets.recovery_codes(staff.RECOVERY_CODES, staff.RECOVERY_BYTES)

    def change(tx: Transaction) -> Enrolled:
        found = tx.get("staff", read.account)
        if found is None or found.body["name"] != digest:
            raise Refused(staff.INVITATION_OVER)
        staff.check_invited(found.body, read.number, tx.now_ms)
        step = staff.step_of(secret, given.code, tx.now_ms)
        if step is None:
            raise invalid("code", "动态码不正确", "is not the code that the app shows now")
        digests = [secrets.code(read.account, each) for each in recovery]
        staff.enrol(found.body, sealed, step, digests)
        tx.put("staff", read.account, found.body)
        return Enrolled(read.account, recovery)

    return database.transact(change).value


def sign_in(database: Database, own: Registry, given: Given, now_ms: int) -> str:
    """The account that somebody signs in to. Raises Refused: SIGN_IN_REFUSED, TRY_LATER, BUSY."""
    tried = look(database, own, given, now_ms)
    committed = database.transact(lambda tx: settle(tx, own.secrets, tried))
    if committed.value is None:
        raise Refused(staff.SIGN_IN_REFUSED)
    return committed.value


def look(database: Database, own: Registry, given: Given, now_ms: int) -> Try:
    """Look at a password, outside of any transaction. Raises Refused: TRY_LATER, BUSY."""
    name = own.secrets.known("staff", given.name.strip().lower()[:100])

    def query(view: View) -> tuple[Tried, Document | None]:
        found = _staff(view, name)
        return _tried(view, name, given.address, is_known=_is_known(given, found)), found

    counted, found = database.read(query).value
    staff.check_delay(counted, now_ms)
    kept, secret, sealed = _NOBODY, _NOBODYS_SECRET, None
    if found is not None and "sealed" in found.body:
        sealed = found.body["sealed"]
        kept, secret = _opened(own, found.key, sealed)
    else:
        _seal_nobodys(own)
    right = _hashing(lambda: staff.is_password(kept, given.password)) and sealed is not None
    again = right and found is not None and staff.needs_rehash(kept)
    rehashed = _hashing(lambda: staff.rehashed(given.password)) if again else None
    account = None if found is None else found.key
    if account is not None and rehashed is not None:
        rehashed = _sealed(own, account, rehashed, secret)
    return Try(given, name, account, sealed, secret, right, rehashed)


def settle(tx: Transaction, secrets: Secrets, tried: Try) -> str | None:
    """Whether a try signs in: the account, or None, with the failure counted. Raises
    Refused(TRY_LATER) where others have failed meanwhile, whatever this one was.
    """
    given = tried.given
    found = _staff(tx, tried.name)
    is_known = _is_known(given, found)
    counted = _tried(tx, tried.name, given.address, is_known=is_known)
    staff.check_delay(counted, tx.now_ms)
    step = staff.step_of(tried.secret, given.code, tx.now_ms)
    if found is None or not _is_right(tx, secrets, tried, found, step):
        _count(tx, tried.name, given.address, counted)
        return None
    staff.signed_in(found.body, given.address)
    found.body["attempt"] = secrets.code(found.key, f"{given.attempt}.{given.code}")
    if tried.rehashed is not None:
        found.body["sealed"] = tried.rehashed
    tx.put("staff", found.key, found.body)
    tx.delete("staff_failures", _here(tried.name, given.address, is_known=is_known))
    return found.key


def _is_right(
    tx: Transaction, secrets: Secrets, tried: Try, found: Document, step: int | None
) -> bool:
    body, given = found.body, tried.given
    account = tx.require("accounts", found.key)
    unchanged = body.get("sealed") == tried.sealed
    if not (tried.right and unchanged and accounts.may_sign_in(account.body)):
        return False
    used = secrets.code(found.key, f"{given.attempt}.{given.code}")
    is_again = bool(given.attempt) and same(body.get("attempt", ""), used)
    is_recovery = staff.is_recovery(given.code)
    if is_again and (is_recovery or step == body["last_step"]):
        return True
    if is_recovery:
        return staff.use_recovery(body, secrets.code(found.key, given.code))
    return staff.use_step(body, step)


def _staff(view: View, name: str) -> Document | None:
    known = view.get("staff_names", name)
    # As much is looked up for an unknown name.
    found = view.get("staff", "nobody" if known is None else known.body["account"])
    return found if found is not None and found.body["state"] == "open" else None


def _is_known(given: Given, found: Document | None) -> bool:
    # By the browser as well: by the address alone, a guess at a name that is known there would be
    # looked at past a limit, and told from one at a name that nobody has.
    if found is None or found.key != given.browser_of:
        return False
    return given.address in found.body["addresses"]


def _here(name: str, address: str, *, is_known: bool) -> str:
    # Who guesses from the same address delays nobody's own browser, nor is let go with its owner.
    return f"{name}.{'own' if is_known else address}"


def _tried(view: View, name: str, address: str, *, is_known: bool) -> Tried:
    here, everywhere, by_address = (
        view.get("staff_failures", key)
        for key in (_here(name, address, is_known=is_known), name, address)
    )
    return Tried(
        None if here is None else here.body,
        None if everywhere is None else everywhere.body,
        None if by_address is None else by_address.body,
        is_known=is_known,
    )


def _count(tx: Transaction, name: str, address: str, counted: Tried) -> None:
    here = staff.failed(counted.here, staff.FREE_FAILURES, tx.now_ms)
    tx.put("staff_failures", _here(name, address, is_known=counted.is_known), here)
    if not counted.is_known:
        everywhere = staff.failed(counted.everywhere, staff.ELSEWHERE_FREE, tx.now_ms)
        tx.put("staff_failures", name, everywhere)
        tx.put("staff_failures", address, staff.failed_at(counted.by_address, tx.now_ms))


def _sealed(own: Registry, account: str, kept: str, secret: str) -> str:
    content = orjson.dumps([kept, secret])
    return own.vault.seal("staff", account, content, owner=_owner(account))


def _opened(own: Registry, account: str, sealed: str) -> tuple[str, str]:
    owner = _owner(account)
    content = own.vault.unseal("staff", account, sealed, owner=owner, remembered=False)
    kept, secret = orjson.loads(content)
    return kept, secret


def _seal_nobodys(own: Registry) -> None:
    """Ask the store for a key that is there, as for a name that is known: to seal asks each time,
    and costs what it costs to open.
    """
    _sealed(own, "nobody", _NOBODY, _NOBODYS_SECRET)


def _owner(account: str) -> str:
    # Not the account's own key: whoever has their name forgotten still signs in.
    return f"staff.{account}"


def _hashing(work: Callable[[], T]) -> T:
    """Hash where it holds up no other request, a few at a time, with a few that wait. Raises
    Refused(BUSY).
    """

    def within() -> T:
        if not _ROOM.acquire(timeout=2.0):
            raise Refused(BUSY, retry_after_seconds=2)
        try:
            return work()
        finally:
            _ROOM.release()

    if not _DOOR.acquire(blocking=False):
        raise Refused(BUSY, retry_after_seconds=2)
    try:
        return waiting.apart(within)
    finally:
        _DOOR.release()
