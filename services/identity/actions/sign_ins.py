"""Sign-ins by mobile number: a code is sent, then it is given back.

Both may be repeated, as a phone on a weak network does: a page that asks for a code again gets the
sign-in that it has, and a right code leads where it led. Nothing here looks whether a number has
an account before its code was right.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from services.identity.actions.accounts import account_for
from services.identity.actions.authorizations import again, grant
from services.identity.actions.counts import count, count_code
from services.identity.actions.oauth import Issuing
from services.identity.domain import accounts, grants, sign_ins
from services.identity.domain.secrets import Secrets, same
from services.identity.domain.sign_ins import LIMITS, sealed_for
from shared.storage.access import Database, Document, Transaction


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks for a code: the page that it was asked on, and the address that it came from."""

    page: str
    address: str


def send_code(
    database: Database, secrets: Secrets, number: str, asker: Asker, codes_per_minute: int
) -> str:
    """Have a code sent to a number (E.164), once for each page; the sign-in that waits for it.

    Raises Refused(TOO_MANY_CODES).
    """
    key, phone = secrets.sign_in(asker.page, number), secrets.phone(number)
    code = secrets.new_code()
    address = f"address-hour.{secrets.address(asker.address)}"

    def change(tx: Transaction) -> str:
        if tx.get("sign_ins", key) is not None:
            return key
        count(tx, address, LIMITS["address-hour"])
        count_code(tx, phone, codes_per_minute)
        said = sealed_for(number, code, tx.now_ms + sign_ins.CODE_MS)
        sealed = secrets.sealing.seal("sign_ins", key, said)
        body = sign_ins.new_sign_in(phone, secrets.code(key, code), sealed, tx.now_ms)
        tx.put("sign_ins", key, body)
        tx.emit("code.made", {"sign_in": key})
        return key

    return database.transact(change).value


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Where a right code leads."""

    location: str


@dataclass(frozen=True, slots=True)
class NotYet:
    """The code was not right; `over` where this sign-in takes no other."""

    over: bool


def finish(
    database: Database, own: Issuing, key: str, code: str, values: Mapping[str, str]
) -> SignedIn | NotYet:
    """Give a sign-in's code, and grant what an app asked for. Raises AuthorizationRefused."""
    given = own.secrets.code(key, code)

    def change(tx: Transaction) -> SignedIn | NotYet:
        found = tx.get("sign_ins", key)
        if found is None:
            return NotYet(over=True)
        sign_in = found.body
        right = same(given, sign_in["code"])
        if right and "grant" in sign_in:
            return SignedIn(again(own, sign_in["grant"], values))
        if not sign_ins.attempt(sign_in, right=right, now_ms=tx.now_ms):
            tx.put("sign_ins", key, sign_in)
            return NotYet(over=sign_in["state"] != "waiting" or tx.now_ms >= sign_in["good_ms"])
        return _granted(tx, own, found, values)

    return database.transact(change).value


def _granted(
    tx: Transaction, own: Issuing, sign_in: Document, values: Mapping[str, str]
) -> SignedIn | NotYet:
    account = account_for(tx, sign_in.body["phone"])
    by_number = own.staff_by_number or not grants.is_staff(account.body["roles"])
    if not (by_number and accounts.may_sign_in(account.body)):
        tx.put("sign_ins", sign_in.key, sign_in.body)
        return NotYet(over=True)
    made, location = grant(tx, own, values, account)
    tx.put("sign_ins", sign_in.key, {**sign_in.body, "grant": made})
    return SignedIn(location)
