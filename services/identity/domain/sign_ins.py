"""Sign-ins by mobile number: a number, a code sent to it, few tries, a short life.

The number is known here by its keyed digest alone, and the code by a digest keyed and bound to the
sign-in. Both are sealed beside it for the notifier, the only one who needs them, until the sign-in
ends. Whether the number has an account is not looked at before the code was right: the answer and
the work are the same for all.

Limits are counted in windows that begin with the first count; see `LIMITS`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson
import phonenumbers

from shared.errors import Problem, Refused, invalid
from shared.storage.catalogue import Body, Collection, Index
from shared.times import DAY_MS, HOUR_MS, MINUTE_MS

COLLECTIONS = (
    Collection("sign_ins", indexes=(Index("sign_ins_by_end", ("until_ms",)),)),
    Collection("counts", indexes=(Index("counts_by_end", ("until_ms",)),)),
)

CODE_DIGITS = 6
CODE_MS = 5 * MINUTE_MS
TRIES_MAX = 5
"""Guesses of one code. With `LIMITS`, fifty guesses at a million codes a day for one number."""

KEPT_MS = 10 * MINUTE_MS
"""How long a finished sign-in is remembered, so that a repeated request gets its answer again."""

REGION = "CN"
_MOBILE = frozenset(
    {phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE}
)
_TEXT_MAX = 40


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `most` codes within `window_ms`."""

    most: int
    window_ms: int


LIMITS: Mapping[str, Limit] = {
    "number-pause": Limit(1, MINUTE_MS),
    "number-hour": Limit(5, HOUR_MS),
    "number-day": Limit(10, DAY_MS),
    # A village may share one address.
    "address-hour": Limit(60, HOUR_MS),
}
"""How many codes are sent, to one number and for one address; `OVERALL` is a setting's."""

OVERALL = "overall-minute"

TOO_MANY_CODES = Problem(
    "too-many-codes", 429, "验证码请求过于频繁，请稍后再试", "Too many codes; try again later"
)


def number_of(text: str) -> str:
    """The mobile number that a person typed, as E.164. Raises Refused(INVALID) on `phone`."""
    try:
        parsed = phonenumbers.parse(text[:_TEXT_MAX], REGION)
    except phonenumbers.NumberParseException:
        raise _no_number() from None
    is_ours = phonenumbers.region_code_for_number(parsed) == REGION
    if not is_ours or phonenumbers.number_type(parsed) not in _MOBILE or parsed.extension:
        raise _no_number()
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def _no_number() -> Refused:
    return invalid("phone", "须为中国大陆手机号码", "has to be a mobile number of mainland China")


def new_sign_in(phone: str, code: str, sealed: str, now_ms: int) -> Body:
    """A sign-in that waits for its code. `phone` and `code` are digests, `sealed` is for the
    notifier.
    """
    return {
        "phone": phone,
        "code": code,
        "sealed": sealed,
        "state": "waiting",
        "tries": 0,
        "good_ms": now_ms + CODE_MS,
        "until_ms": now_ms + CODE_MS + KEPT_MS,
    }


def sealed_for(number: str, code: str, good_ms: int) -> bytes:
    """What the notifier has to know of a sign-in, to be sealed."""
    return orjson.dumps([number, code, good_ms])


def attempt(sign_in: Body, *, right: bool, now_ms: int) -> bool:
    """Count a guess; whether it ends in a sign-in. A right one after the last try is too late."""
    if sign_in["state"] != "waiting" or now_ms >= sign_in["good_ms"]:
        return False
    sign_in["tries"] += 1
    if right:
        sign_in["state"] = "done"
    elif sign_in["tries"] >= TRIES_MAX:
        sign_in["state"] = "failed"
    else:
        return False
    # Nobody is to be sent the code of a sign-in that is over.
    del sign_in["sealed"]
    return right


def count(counted: Body | None, limit: Limit, now_ms: int) -> Body:
    """One more in its window. Raises TOO_MANY_CODES, with the seconds until the window ends."""
    if counted is None or now_ms >= counted["until_ms"]:
        return {"count": 1, "until_ms": now_ms + limit.window_ms}
    if counted["count"] >= limit.most:
        wait_seconds = (counted["until_ms"] - now_ms + 999) // 1000
        raise Refused(TOO_MANY_CODES, retry_after_seconds=wait_seconds)
    return {**counted, "count": counted["count"] + 1}
