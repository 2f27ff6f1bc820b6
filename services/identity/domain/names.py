"""Real names: name and resident ID number, verified by an authority, sealed, one account for each.

The number says when somebody was born and checks itself (GB 11643). That both belong together, and
that the mobile number which the account signs in by is the same person's, says a `Verifier`. Here
an ID number is known by its keyed digest alone, and all three stand sealed under a key of the
account's own. What a person is shown of them is masked.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

import orjson
from stdnum.cn import ric

from services.identity.domain.sign_ins import Limit
from shared.errors import Problem, Refused, invalid
from shared.residents import born_of
from shared.storage.catalogue import Body, Collection, Index
from shared.times import DAY_MS, day_of

COLLECTIONS = (
    # Name and number of an account, sealed; under the account.
    Collection("names"),
    # The one account that an ID number has; under the number's keyed digest.
    Collection("id_numbers"),
    # That an officer freed a number: of which account, who did it and why; the number is not there.
    Collection("number_releases", indexes=(Index("number_releases_by_time", ("at_ms",)),)),
)

ATTEMPTS = Limit(10, DAY_MS)
"""How often an account tries names in a day: neither it nor the authority tells guessed numbers."""

CHILD_YEARS = 14
"""Under this age a guardian acts for a child (PIPL, article 31)."""
ADULT_YEARS = 18
"""From this age somebody can be a guardian (Civil Code, article 17)."""

KIND = "resident-id"

NOT_VERIFIED = Problem(
    "name-not-verified",
    409,
    "姓名与证件号码未通过核验",
    "Name and number were not confirmed to belong together",
)
NUMBER_TAKEN = Problem(
    "id-number-taken", 409, "该证件号码已用于另一账号", "Another account has this ID number"
)
NAME_KNOWN = Problem(
    "name-known", 409, "该账号已核验其他身份", "This account was verified as somebody else"
)
GUARDIAN_NEEDED = Problem(
    "guardian-needed",
    409,
    "未满14周岁须由监护人登记",
    "Under fourteen, a guardian has to register the child",
)
VERIFIER_DOWN = Problem(
    "verifier-unavailable",
    503,
    "实名核验服务暂不可用，请稍后重试",
    "The authority that verifies names does not answer; try again later",
)

# What a Chinese name is written with: ideographs, and the dot of names from other languages.
_NAME = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003134f·]{2,50}")


@dataclass(frozen=True, slots=True)
class Person:
    """Who somebody says that they are; `born` is what the number says.

    `phone` is their mobile number (E.164). A child has none here, nor has whoever was verified
    before it was asked for: that says who somebody is, and not that it is they who ask.
    """

    name: str
    number: str
    born: date
    phone: str | None = None


class Verifier(Protocol):
    """The authority that knows. Raises Refused(VERIFIER_DOWN) where it does not answer.

    `source` names it, in what is stored of a verification.
    """

    @property
    def source(self) -> str: ...

    def belongs(self, person: Person) -> bool:
        """Whether name and number, and the mobile number where there is one, are of one person."""

    def guards(self, guardian: Person, child: Person) -> bool:
        """Whether the one is a guardian of the other, by the register."""


def person(name: str, number: str, now_ms: int, phone: str | None = None) -> Person:
    """Raises Refused(INVALID) on `name` or `number`."""
    written = unicodedata.normalize("NFC", name.strip()).replace("•", "·").replace("・", "·")
    if not _NAME.fullmatch(written) or written.startswith("·") or written.endswith("·"):
        raise invalid("name", "须为身份证上的中文姓名", "has to be the name on the ID card")
    compact, born = number_of(number, now_ms)
    return Person(written, compact, born, phone)


def number_of(text: str, now_ms: int) -> tuple[str, date]:
    """An ID number as it is kept, and the day of birth in it. Raises Refused(INVALID) on
    `number`.
    """
    compact = text.strip().upper()
    born = born_of(compact, day_of(now_ms))
    if born is None:
        raise invalid("number", "须为有效的身份证号码", "has to be a valid resident ID number")
    return compact, born


def not_own_phone() -> Refused:
    """Of a mobile number that is another account's or nobody's, which is told apart for nobody."""
    return invalid(
        "phone",
        "须为本账号登录所用的手机号码",
        "has to be the number that this account signs in by",
    )


def birthday(born: date, years: int) -> date:
    """The day on which somebody born then is so many years old. Born on 29 February: the month's
    last day where there is no such day (Civil Code, article 202).
    """
    try:
        return born.replace(year=born.year + years)
    except ValueError:
        return date(born.year + years, 2, 28)


def is_younger(born: date, years: int, now_ms: int) -> bool:
    """By the date in Gansu."""
    return day_of(now_ms) < birthday(born, years)


def check_age(person: Person, now_ms: int) -> None:
    """Raise GUARDIAN_NEEDED for somebody whose data ask for a guardian's consent."""
    if is_younger(person.born, CHILD_YEARS, now_ms):
        raise Refused(GUARDIAN_NEEDED)


def content(person: Person) -> bytes:
    """What is sealed of a person."""
    said = [person.name, person.number]
    return orjson.dumps(said if person.phone is None else [*said, person.phone])


def opened(sealed: bytes) -> Person:
    """What `content` was made of."""
    name, number, *phone = orjson.loads(sealed)
    return Person(name, number, ric.get_birth_date(number), *phone)


def new_name(sealed: str, digest: str, source: str, now_ms: int) -> Body:
    """A verified name as it is kept."""
    return {"sealed": sealed, "digest": digest, "source": source, "verified_ms": now_ms}


def check_same(known: Body, digest: str) -> None:
    """Raise NAME_KNOWN unless an account's verified number is this one."""
    if known["digest"] != digest:
        raise Refused(NAME_KNOWN)


def new_release(account: str, by: str, reason: str, now_ms: int) -> Body:
    """That an officer freed an account's number."""
    return {"account": account, "by": by, "reason": reason, "at_ms": now_ms}


def masked(person: Person) -> Sequence[str]:
    """Name and number as their owner is shown them: enough to know one's own by."""
    name, number = person.name, person.number
    return name[0] + "*" * (len(name) - 1), number[0] + "*" * (len(number) - 2) + number[-1]
