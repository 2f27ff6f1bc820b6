"""Roles: who gives which, to whom, and which never stand on one account.

    business roles        one operator gives and takes
    powers over others    a security officer asks, another one agrees; one alone takes

Operator, security and auditor each stand alone, without any other role of staff: who keeps the
platform, who says who keeps it, and who looks at both are three people (separation of duties).
Nobody changes their own roles, and who is invited again has lost such a power: else one alone could
take over the account of another who has it. Every change is a document of its own that says who did
it.
"""

from collections.abc import Iterable

from services.identity.domain import accounts
from shared.errors import FORBIDDEN, Problem, Refused, invalid
from shared.storage.catalogue import Body, Collection, Index
from shared.times import DAY_MS

COLLECTIONS = (
    Collection(
        "role_changes",
        indexes=(
            Index("role_changes_by_time", ("at_ms",)),
            Index("role_changes_by_account", ("account", "at_ms")),
        ),
    ),
    # What one security officer asked for and another one has to agree to; under account and role.
    Collection(
        "role_requests",
        indexes=(
            Index("role_requests_by_time", ("asked_ms",)),
            Index("role_requests_by_end", ("until_ms",)),
        ),
    ),
)

BUSINESS = (
    "station_agent",
    "merchant",
    "scenic_staff",
    "clinician",
    "hospital_staff",
)
POWERS = ("operator", "security", "auditor")
GIVEN = (*BUSINESS, *POWERS)
"""What can be given. `citizen` comes with a number; `gate` and `partner` are of clients."""

WAITS_MS = 3 * DAY_MS
"""How long a request waits for the second officer."""
REASON_MAX = 200
INVITED_AGAIN = "重新邀请 / invited again"
"""Why somebody has lost a power whose sign-in was begun anew."""

DUTIES_APART = Problem(
    "duties-apart",
    409,
    "该角色不能与账号现有角色并存",
    "This role and one that the account has may not stand together",
)
ROLE_HELD = Problem("role-held", 409, "账号已有该角色", "The account has this role already")
ROLE_NOT_HELD = Problem("role-not-held", 409, "账号没有该角色", "The account has no such role")
OWN_ROLES = Problem("own-roles", 409, "不能更改自己的角色", "Nobody changes their own roles")
SECOND_NEEDED = Problem(
    "second-officer-needed",
    409,
    "须由另一位安全管理员确认",
    "Another security officer has to agree",
)


def giver(role: str) -> str:
    """The role of those who give this one. Raises Refused(INVALID) for one that nobody gives."""
    if role in BUSINESS:
        return "operator"
    if role in POWERS:
        return "security"
    raise invalid("role", "此角色不能授予", "is a role that is not given")


def needs_second(role: str) -> bool:
    return role in POWERS


def check_giver(role: str, by: str, by_roles: Iterable[str], account: str) -> None:
    """Raise FORBIDDEN, OWN_ROLES unless somebody with these roles may change this one there."""
    if giver(role) not in by_roles:
        raise Refused(FORBIDDEN, detail={"roles": [giver(role)]})
    if by == account:
        raise Refused(OWN_ROLES)


def check_apart(roles: Iterable[str]) -> None:
    """Raise DUTIES_APART for roles that may not stand on one account."""
    staff = set(roles) - {"citizen"}
    if len(staff) > 1 and not staff.isdisjoint(POWERS):
        raise Refused(DUTIES_APART)


def give(account: Body, role: str) -> None:
    """Raises ROLE_HELD, DUTIES_APART."""
    if role in account["roles"]:
        raise Refused(ROLE_HELD)
    check_apart([*account["roles"], role])
    accounts.put_roles(account, [*account["roles"], role])


def take(account: Body, role: str) -> None:
    """Raises ROLE_NOT_HELD."""
    if role not in account["roles"]:
        raise Refused(ROLE_NOT_HELD)
    accounts.put_roles(account, [name for name in account["roles"] if name != role])


def new_request(account: str, role: str, by: str, reason: str, now_ms: int) -> Body:
    """A request that waits for a second officer."""
    return {
        "account": account,
        "role": role,
        "by": by,
        "reason": reason,
        "asked_ms": now_ms,
        "until_ms": now_ms + WAITS_MS,
    }


def check_second(request: Body, by: str) -> None:
    """Raise SECOND_NEEDED where somebody would agree to their own request."""
    if request["by"] == by:
        raise Refused(SECOND_NEEDED)


def new_change(
    account: str, role: str, *, given: bool, by: str, second: str | None, reason: str, now_ms: int
) -> Body:
    """A change of roles as it is remembered: who did it, who agreed, why."""
    return {
        "account": account,
        "role": role,
        "what": "given" if given else "taken",
        "by": by,
        "second": second,
        "reason": reason,
        "at_ms": now_ms,
    }
