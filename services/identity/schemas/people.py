"""Staff, roles, names and delegations as JSON."""

from collections.abc import Sequence
from datetime import date
from typing import ClassVar

from services.identity.domain import delegations, names, roles, staff
from services.identity.domain.names import Person
from services.identity.schemas.accounts import ACCOUNT_ID
from shared.language import Words
from shared.schemas import Choice, Example, Instant, Items, PageQuery, Schema, Text, Whole
from shared.storage.access import Document
from shared.times import instant

DELEGATION_ID = "delegation_019a8f5b2c3d7e8f9a0b1c2d3e4f5061"
ACCOUNT = r"^account_[0-9a-f]{32}$"
_ID = r"^[A-Za-z0-9_.-]{1,100}$"


class NewStaffSchema(Schema):
    EXAMPLE: ClassVar[Example] = {"name": "li.si"}

    name = Text(40, pattern=staff.NAME, doc=Words("登录名", "What they sign in by"))


class StaffSchema(Schema):
    """Somebody who was invited; whoever asked hands the invitation over."""

    id = Text(100, example=ACCOUNT_ID)
    state = Choice("invited", "open")
    invitation = Text(200)
    invited_until = Instant()


class RoleSchema(Schema):
    EXAMPLE: ClassVar[Example] = {"role": "merchant", "reason": "licence 620100-17"}

    role = Choice(*roles.GIVEN)
    reason = Text(roles.REASON_MAX, doc=Words("理由，不含个人信息", "Why; nothing personal"))


class ReasonSchema(Schema):
    EXAMPLE: ClassVar[Example] = {"reason": "left the company"}

    reason = Text(roles.REASON_MAX)


class RoleChangeSchema(Schema):
    """A change of roles, or one that waits for a second officer."""

    account_id = Text(100, example=ACCOUNT_ID)
    role = Choice(*roles.GIVEN)
    what = Choice("given", "taken", "waiting")
    by = Text(100, example=ACCOUNT_ID)
    second = Text(100, nullable=True)
    reason = Text(roles.REASON_MAX)
    at = Instant()


class RoleChangesSchema(Schema):
    items = Items(RoleChangeSchema, PageQuery.LIMIT_MAX)
    after = Text(1024, nullable=True)


class RoleChangesQuery(PageQuery):
    account_id = Text(100, pattern=_ID, required=False)


class NewReleaseSchema(Schema):
    EXAMPLE: ClassVar[Example] = {"number": "62010219900101003X", "reason": "showed the card"}

    number = Text(18, minimum=18, doc=Words("身份证号码", "Resident ID number"))
    reason = Text(roles.REASON_MAX, doc=Words("理由，不含个人信息", "Why; nothing personal"))


class ReleaseSchema(Schema):
    """That a number was freed; `account_id` had it, and says nothing of whose it is."""

    account_id = Text(100, example=ACCOUNT_ID)
    by = Text(100, example=ACCOUNT_ID)
    reason = Text(roles.REASON_MAX)
    at = Instant()


class ReleasesSchema(Schema):
    items = Items(ReleaseSchema, PageQuery.LIMIT_MAX)
    after = Text(1024, nullable=True)


class PersonSchema(Schema):
    EXAMPLE: ClassVar[Example] = {"name": "张三", "number": "62010219900101003X"}

    name = Text(50, doc=Words("身份证上的姓名", "As on the ID card"))
    number = Text(18, minimum=18, doc=Words("身份证号码", "Resident ID number"))


class OwnPersonSchema(PersonSchema):
    EXAMPLE: ClassVar[Example] = {**PersonSchema.EXAMPLE, "phone": "13800000001"}

    phone = Text(
        40, doc=Words("本账号登录所用的手机号码", "The number that this account signs in by")
    )


class NameSchema(Schema):
    """A verified name, masked; `source` says who verified it."""

    name = Text(50, example="张*")
    number = Text(18, example="6****************X")
    source = Choice("authority", "development")
    verified_at = Instant()


class ForgottenSchema(Schema):
    """Nothing is kept any more that could be read."""

    state = Choice("forgotten")


class NewDelegationSchema(Schema):
    EXAMPLE: ClassVar[Example] = {
        "kind": "station_agent",
        "phone": "13800000001",
        "scopes": ["orders:read", "orders:write"],
        "days": 30,
    }

    kind = Choice(*delegations.KINDS)
    phone = Text(40, doc=Words("本人手机号，将收到验证码", "The person's; gets the code"))
    scopes = Items(Choice(*delegations.SCOPES), len(delegations.SCOPES), minimum=1)
    days = Whole(1, max(delegations.DAYS_MAX.values()))


class CodeSchema(Schema):
    EXAMPLE: ClassVar[Example] = {"code": "123456"}

    code = Text(6, pattern=r"^[0-9]{6}$")


class DelegationSchema(Schema):
    """`person_id` is null until the person has consented, `ends_at` for a child's: it ends on the
    fourteenth birthday, and is `over` as well while nobody can read the child's name: registered
    again it is live.
    """

    id = Text(100, example=DELEGATION_ID)
    kind = Choice(*delegations.KINDS)
    state = Choice("waiting", "live", "over", "taken_back", "failed")
    agent_id = Text(100, example=ACCOUNT_ID)
    person_id = Text(100, nullable=True)
    scopes = Items(Choice(*delegations.SCOPES), len(delegations.SCOPES))
    made_at = Instant()
    ends_at = Text(24, nullable=True)
    ended_at = Text(24, nullable=True)
    ended_by = Text(100, nullable=True)


class DelegationsSchema(Schema):
    items = Items(DelegationSchema, PageQuery.LIMIT_MAX)
    after = Text(1024, nullable=True)


class ActSchema(Schema):
    """A token that was given to who acts."""

    at = Instant()
    client_id = Text(63)
    scopes = Items(Choice(*delegations.SCOPES), len(delegations.SCOPES))


class ActsSchema(Schema):
    items = Items(ActSchema, PageQuery.LIMIT_MAX)
    after = Text(1024, nullable=True)


def staff_json(document: Document, invitation: str) -> dict[str, object]:
    body = document.body
    return {
        "id": document.key,
        "state": body["state"],
        "invitation": invitation,
        "invited_until": instant(body["invited_until_ms"]),
    }


def role_change_json(document: Document) -> dict[str, object]:
    """Of a change, or of a request for one."""
    body = document.body
    return {
        "account_id": body["account"],
        "role": body["role"],
        "what": body.get("what", "waiting"),
        "by": body["by"],
        "second": body.get("second"),
        "reason": body["reason"],
        "at": instant(body["at_ms"] if "at_ms" in body else body["asked_ms"]),
    }


def release_json(document: Document) -> dict[str, object]:
    body = document.body
    return {
        "account_id": body["account"],
        "by": body["by"],
        "reason": body["reason"],
        "at": instant(body["at_ms"]),
    }


def name_json(document: Document, person: Person) -> dict[str, object]:
    name, number = names.masked(person)
    body = document.body
    return {
        "name": name,
        "number": number,
        "source": body["source"],
        "verified_at": instant(body["verified_ms"]),
    }


def delegation_json(document: Document, born: date | None, now_ms: int) -> dict[str, object]:
    """`born`: when the child of a guardianship was, where anybody can still read it."""
    body = document.body
    until_ms, ended_ms = body.get("until_ms"), body.get("ended_ms")
    # As the exchange says: what is live gives tokens.
    is_past = body["state"] == "live" and not delegations.is_live(body, born, now_ms)
    scopes: Sequence[str] = body["scopes"]
    return {
        "id": document.key,
        "kind": body["kind"],
        "state": "over" if is_past else body["state"],
        "agent_id": body["agent"],
        "person_id": body.get("person"),
        "scopes": scopes,
        "made_at": instant(body["made_ms"]),
        "ends_at": None if until_ms is None else instant(until_ms),
        "ended_at": None if ended_ms is None else instant(ended_ms),
        "ended_by": body.get("ended_by"),
    }


def act_json(document: Document) -> dict[str, object]:
    body = document.body
    return {"at": instant(body["at_ms"]), "client_id": body["client"], "scopes": body["scopes"]}
