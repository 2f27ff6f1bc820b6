"""People for tests of identity: accounts with roles, ID numbers, staff with both factors."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from stdnum.cn import ric

from services.identity.actions import staff as actions
from services.identity.actions.accounts import Sample, plant_accounts
from services.identity.actions.staff import Enrolment, Given
from services.identity.domain import staff
from shared.storage.access import Transaction
from tests.support.bureau import Bureau
from tests.support.served import made

PASSWORD = "correct horse battery staple"


def number_of(born: date, order: int = 1) -> str:
    """A resident ID number with the right check digit."""
    body = f"620102{born:%Y%m%d}{order:03d}"
    return body + ric.calc_check_digit(body + "0")


def own_name(place: int, name: str, born: date, order: int = 1) -> dict[str, str]:
    """What somebody has verified who has the account of `plant` with this place."""
    return {"name": name, "number": number_of(born, order), "phone": f"138{place:08d}"}


def plant(bureau: Bureau, place: int, *roles: str) -> str:
    """An account with these roles; its number ends in `place`."""
    account = f"account_{place:032x}"
    phone = bureau.secrets.phone(f"+86138{place:08d}")
    plant_accounts(bureau.database, [Sample(account, list(roles), phone)])
    return account


def set_account(bureau: Bureau, account: str, **changes: Any) -> None:
    """Let an account be otherwise, however that came about."""

    def change(tx: Transaction) -> object:
        found = tx.require("accounts", account)
        return tx.put("accounts", account, {**found.body, **changes})

    bureau.database.transact(change)


def as_(bureau: Bureau, account: str, *roles: str) -> str:
    """A token of an account's with these roles."""
    return bureau.issuer.token(account, roles=list(roles))


@dataclass
class Member:
    """Somebody of the staff, and what they carry."""

    bureau: Bureau
    account: str
    name: str
    secret: str
    recovery: list[str]

    def code(self, offset: int = 0) -> str:
        step = self.bureau.clock.now_ms() // 30_000 + offset
        return staff.totp(self.secret).generate_otp(step)

    def sign_in(
        self,
        code: str | None = None,
        *,
        password: str = PASSWORD,
        address: str = "office",
        attempt: str = "",
    ) -> str:
        given = Given(
            self.name, password, code or self.code(), address, attempt, browser_of=self.account
        )
        bureau = self.bureau
        return actions.sign_in(bureau.database, bureau.registry(), given, bureau.clock.now_ms())


def enrolled(bureau: Bureau, operator: str, name: str = "li.si") -> Member:
    """Somebody who was invited over HTTP, and has enrolled."""
    token = as_(bureau, operator, "operator")
    invited = made(bureau.post("/v1/staff", {"name": name}, token=token))
    invitation = invited["invitation"]
    begun = actions.begin_enrolment(bureau.database, bureau.secrets, invitation)
    step = bureau.clock.now_ms() // 30_000
    code = staff.totp(begun.secret).generate_otp(step)
    given = Enrolment(invitation, begun.ticket, name, PASSWORD, code)
    done = actions.enrol(bureau.database, bureau.registry(), given)
    bureau.clock.pass_wall(seconds=60)
    return Member(bureau, invited["id"], name, begun.secret, done.recovery)
