"""Delegations: somebody acts for a person, who consents or is a child of theirs.

    waiting ──code given──► live ──taken back, term over, birthday──► over
       └──tries used up, too late──► over

`kind` says as what: a *guardian*, or a *station_agent* in a village. A child's comes of the
register and has no code: it is live from the beginning, the child's other guardians are told, and
it ends on the fourteenth birthday, by the date in Gansu. That date is nowhere in clear: whoever
asks brings `born`, from the sealed name. Anybody else gives a code that was sent to their own
phone, which says who asks and for what.

What is delegated is a part of what a citizen can do, and never anything of identity's own: nobody
who acts for another can delegate on, take roles, or end the sign-ins of that person.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import orjson

from services.identity.domain import names
from services.identity.domain.sign_ins import Limit
from shared.errors import Problem, Refused, invalid
from shared.storage.catalogue import Body, Collection, Index
from shared.times import DAY_MS, HOUR_MS, MINUTE_MS, midnight_ms

COLLECTIONS = (
    Collection(
        "delegations",
        indexes=(
            Index("delegations_by_person", ("person", "made_ms")),
            Index("delegations_by_agent", ("agent", "made_ms")),
            # Those that a person, or a guardian of children, may have only so many of.
            Index("delegations_of_person", ("standing_for", "made_ms")),
            Index("delegations_of_guardian", ("guards", "made_ms")),
            # When one that was over is removed; those that stand are not there.
            Index("delegations_by_end", ("gone_ms",)),
        ),
    ),
    # What was done under one: each token that was given.
    Collection(
        "acts",
        indexes=(
            Index("acts_by_delegation", ("delegation", "at_ms")),
            Index("acts_by_end", ("gone_ms",)),
        ),
    ),
)

KINDS = ("guardian", "station_agent")

SCOPES: Sequence[str] = (
    "orders:read",
    "orders:write",
    "tickets:read",
    "tickets:write",
    "appointments:read",
    "appointments:write",
)
"""What can be delegated."""

DAYS_MAX = {"guardian": 365, "station_agent": 90}
"""The longest term that somebody can consent to at a time."""

TOKEN_SECONDS = 300
"""How long a token of one who acts is good for, also after the delegation was taken back."""

CODE_MS = 10 * MINUTE_MS
TRIES_MAX = 5
KEPT_MS = 3 * 365 * DAY_MS
"""How long a person can see who acted for them, and what was done."""
UNANSWERED_KEPT_MS = DAY_MS

TOLD_MS = 3 * DAY_MS
"""How long it is worth telling guardians that there is one more."""

ASKED = Limit(40, DAY_MS)
"""Codes that one agent has sent in a day."""
TOKENS = Limit(60, HOUR_MS)
"""Tokens under one delegation in an hour: a new one every five minutes, and retries."""
STANDING_MAX = 20
"""Guardianships of one guardian, and delegations of one person, that stand at a time."""

NOT_CONFIRMED = Problem(
    "delegation-code-wrong", 409, "验证码不正确", "That is not the code that was sent"
)
DELEGATION_OVER = Problem(
    "delegation-over", 409, "委托已结束", "The delegation is over, or was never confirmed"
)
NOT_AN_AGENT = Problem(
    "not-an-agent", 409, "仅村级服务站代办员可以申请", "Only agents of a village station may ask"
)
NOT_VERIFIED_YET = Problem(
    "own-name-needed", 409, "请先完成本人实名核验", "Have your own name verified first"
)
NOT_A_GUARDIAN = Problem(
    "not-a-guardian", 409, "登记信息未显示监护关系", "The register shows no guardianship"
)
NOT_A_CHILD = Problem("not-a-child", 409, "须未满14周岁", "Has to be under fourteen")
ANOTHER_GUARDIAN = Problem(
    "another-guardian",
    409,
    "另有监护人在代办；实名信息随最后一项监护登记的结束而删除",
    "Another guardian acts for the child; the name goes with the last guardianship",
)
OWN_DELEGATION = Problem("own-delegation", 409, "不能代办自己", "Nobody acts for themselves")
TOO_MANY = Problem("too-many-delegations", 409, "委托数量已达上限", "There are too many already")


@dataclass(frozen=True, slots=True)
class Terms:
    """What is asked for: as what, which scopes, for how many days."""

    kind: str
    scopes: Sequence[str]
    days: int


def check(terms: Terms, agent_roles: Iterable[str]) -> None:
    """Raise Refused(INVALID), NOT_AN_AGENT for terms that nobody can have."""
    if terms.kind == "station_agent" and "station_agent" not in agent_roles:
        raise Refused(NOT_AN_AGENT)
    unknown = sorted(set(terms.scopes) - set(SCOPES))
    if unknown or not terms.scopes or len(set(terms.scopes)) < len(terms.scopes):
        raise invalid("scopes", "含有不可委托的权限或重复", "can be delegated, each once")
    if not 1 <= terms.days <= DAYS_MAX[terms.kind]:
        most = DAYS_MAX[terms.kind]
        raise invalid("days", f"最长 {most} 天", f"are {most} at most")


def new_request(agent: str, terms: Terms, phone: str, code: str, sealed: str, now_ms: int) -> Body:
    """A delegation that waits for the code; `phone` and `code` are digests."""
    return {
        "agent": agent,
        "kind": terms.kind,
        "scopes": list(terms.scopes),
        "days": terms.days,
        "phone": phone,
        "code": code,
        "sealed": sealed,
        "tries": 0,
        "state": "waiting",
        "made_ms": now_ms,
        "good_ms": now_ms + CODE_MS,
        "gone_ms": now_ms + CODE_MS + UNANSWERED_KEPT_MS,
    }


def sealed_for(number: str, code: str, good_ms: int) -> bytes:
    """What the notifier has to know, to be sealed."""
    return orjson.dumps([number, code, good_ms])


def attempt(delegation: Body, *, right: bool, now_ms: int) -> bool:
    """Count a guess; whether the code was right, in time, and not guessed too often."""
    if delegation["state"] != "waiting" or now_ms >= delegation["good_ms"]:
        return False
    delegation["tries"] += 1
    if not right and delegation["tries"] >= TRIES_MAX:
        _shut(delegation, "failed", now_ms)
    return right


def begin(delegation: Body, person: str, now_ms: int) -> None:
    """Let it live for the person who consented. Raises OWN_DELEGATION."""
    if person == delegation["agent"]:
        raise Refused(OWN_DELEGATION)
    # Nobody is to be sent this code any more.
    del delegation["sealed"]
    delegation.update(
        person=person,
        state="live",
        standing_for=person,
        begun_ms=now_ms,
        until_ms=now_ms + delegation["days"] * DAY_MS,
    )
    delegation["gone_ms"] = delegation["until_ms"] + KEPT_MS


def new_guardianship(guardian: str, child: str, now_ms: int) -> Body:
    """A guardian's of a child: everything that can be delegated, until the birthday."""
    return {
        "agent": guardian,
        "person": child,
        "kind": "guardian",
        "child": True,
        "scopes": list(SCOPES),
        "state": "live",
        "standing_for": child,
        "guards": guardian,
        "made_ms": now_ms,
        "begun_ms": now_ms,
        "gone_ms": now_ms + names.CHILD_YEARS * 366 * DAY_MS + KEPT_MS,
    }


def is_live(delegation: Body, born: date | None, now_ms: int) -> bool:
    """Whether it holds now. A child's needs to know when the child was born."""
    if delegation["state"] != "live":
        return False
    if delegation.get("child"):
        return born is not None and names.is_younger(born, names.CHILD_YEARS, now_ms)
    return bool(now_ms < delegation["until_ms"])


def ends_ms(delegation: Body, born: date | None) -> int | None:
    """When it ends by itself; None where that is not known."""
    if delegation.get("child"):
        return None if born is None else midnight_of(born)
    until_ms = delegation.get("until_ms")
    return None if until_ms is None else int(until_ms)


def midnight_of(born: date) -> int:
    """The first moment of the fourteenth birthday."""
    return midnight_ms(names.birthday(born, names.CHILD_YEARS))


def cut(delegation: Body, asked: Sequence[str]) -> list[str]:
    """The scopes of a token: what is asked for, cut down to what was delegated."""
    wanted = asked or delegation["scopes"]
    return [name for name in dict.fromkeys(wanted) if name in delegation["scopes"]]


def take_back(delegation: Body, by: str, now_ms: int) -> None:
    """End it for good. May be repeated: who was first is remembered."""
    if delegation["state"] in {"live", "waiting"}:
        delegation["ended_by"] = by
        _shut(delegation, "taken_back", now_ms)


def let_go(delegation: Body, now_ms: int) -> None:
    """Note that it has ended by itself."""
    _shut(delegation, "over", now_ms)


def _shut(delegation: Body, state: str, now_ms: int) -> None:
    delegation["state"] = state
    delegation["ended_ms"] = now_ms
    delegation.pop("sealed", None)
    delegation.pop("standing_for", None)
    delegation.pop("guards", None)
    if "person" in delegation:
        delegation["gone_ms"] = now_ms + KEPT_MS


def new_act(delegation: str, client: str, scopes: Sequence[str], now_ms: int) -> Body:
    """That a token was given to whoever acts: by which app, for what."""
    return {
        "delegation": delegation,
        "client": client,
        "scopes": list(scopes),
        "at_ms": now_ms,
        "gone_ms": now_ms + KEPT_MS,
    }
