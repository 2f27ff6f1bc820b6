"""Staff: a sign-in name, a password and a second factor; tries that slow down and always end.

    invited ──enrolled──► open ──closed──► closed

The password is kept as Argon2id (RFC 9106) with the parameters of OWASP's Password Storage Cheat
Sheet (m = 19 MiB, t = 2, p = 1); hash and second factor stand sealed. A code of RFC 6238 is good
for its half minute and one step to either side (section 5.2), and once: no step is taken that is
not behind the last one.

Failures are counted for a name *from* an address (or from its account's own browser there), for the
name from everywhere, and for the address with all names. Delays grow to an hour and end by
themselves; an address that tries many names waits for what is left of ten minutes, and adds nothing
to it meanwhile. What strangers do from elsewhere, or with other names, never delays the account's
own browser at an address that it has signed in from: nobody locks somebody out of their own office.
Any other browser there waits, whatever name is tried: how an address is delayed and counted tells
none.
"""

import re
from dataclasses import dataclass

import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from shared.errors import Problem, Refused, invalid
from shared.storage.catalogue import Body, Collection, Index
from shared.times import DAY_MS, HOUR_MS, MINUTE_MS

COLLECTIONS = (
    Collection("staff"),
    # The account that a sign-in name is of; under the name's keyed digest.
    Collection("staff_names"),
    Collection("staff_failures", indexes=(Index("staff_failures_by_end", ("until_ms",)),)),
)

ARGON2_MEMORY_KIB, ARGON2_PASSES, ARGON2_LANES = 19_456, 2, 1
PASSWORD_MIN, PASSWORD_MAX = 12, 128
"""NIST SP 800-63B, section 3.1.1.2, asks for eight at least where there is a second factor."""

STEP_SECONDS = 30
SKEW_STEPS = 1
SECRET_BYTES = 20
"""RFC 4226, section 4, requirement 6."""

INVITED_MS = 3 * DAY_MS
RECOVERY_CODES = 8
RECOVERY_BYTES = 10

FREE_FAILURES = 3
"""Slips that cost no time; each further failure doubles the delay."""
FIRST_DELAY_MS = 2_000
DELAY_MS_MAX = HOUR_MS
ELSEWHERE_FREE = 20
"""Failures from everywhere before unknown addresses are slowed down together."""
ADDRESS_FREE = 30
ADDRESS_MS = 10 * MINUTE_MS
"""So many failures of one address, whatever the names, within so long a window: an office shares
one, and whoever tries one password on many names has one as well.
"""
FORGOTTEN_MS = DAY_MS
"""After so long without a failure, counting begins anew."""
ADDRESSES_MAX = 8

NAME = r"^[a-z][a-z0-9.-]{2,39}$"
_NAME = re.compile(NAME)
_TOTP = re.compile(r"[0-9]{6}")
_RECOVERY = re.compile(r"[0-9a-f]{20}")

NAME_TAKEN = Problem("staff-name-taken", 409, "该登录名已被使用", "There is such a name already")
SIGN_IN_REFUSED = Problem(
    "staff-sign-in-refused",
    403,
    "登录名、密码或动态码不正确",
    "Name, password or code are not right",
)
TRY_LATER = Problem(
    "staff-sign-in-delayed", 429, "尝试次数过多，请稍后再试", "Too many tries; try again later"
)
INVITATION_OVER = Problem(
    "invitation-over", 409, "邀请无效或已过期", "The invitation is not good, or no longer"
)

_HASHER = PasswordHasher(
    time_cost=ARGON2_PASSES, memory_cost=ARGON2_MEMORY_KIB, parallelism=ARGON2_LANES
)


def name_of(text: str) -> str:
    """A sign-in name as it is kept. Raises Refused(INVALID) on `name`."""
    name = text.strip().lower()
    if not _NAME.fullmatch(name):
        raise invalid("name", "须为 3 至 40 个字母、数字、点或连字符", "is 3 to 40 of a-z 0-9 . -")
    return name


# Passwords


def hashed(password: str, name: str) -> str:
    """A new password as it is kept. Raises Refused(INVALID) on `password` for a weak one."""
    if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
        raise invalid(
            "password",
            f"须为 {PASSWORD_MIN} 至 {PASSWORD_MAX} 个字符",
            f"has {PASSWORD_MIN} to {PASSWORD_MAX} characters",
        )
    if name in password.lower() or len(set(password)) < 5:
        raise invalid("password", "过于简单或含有登录名", "is too simple, or has the name in it")
    return _HASHER.hash(password)


def rehashed(password: str) -> str:
    """A password that was right, kept with today's parameters."""
    return _HASHER.hash(password)


def is_password(kept: str, password: str) -> bool:
    """Whether a password is the one that was kept; takes as long where it is not."""
    try:
        return _HASHER.verify(kept, password[: PASSWORD_MAX + 1])
    except (VerificationError, InvalidHashError):
        return False


def needs_rehash(kept: str) -> bool:
    """Whether a password was kept with other parameters than today's."""
    return _HASHER.check_needs_rehash(kept)


# The second factor


def totp(secret: str) -> pyotp.TOTP:
    return pyotp.TOTP(secret, interval=STEP_SECONDS)


def step_of(secret: str, code: str, now_ms: int) -> int | None:
    """The step that a code is of, within the skew that is allowed; None for any other text."""
    if not _TOTP.fullmatch(code):
        return None
    present = now_ms // (STEP_SECONDS * 1000)
    made = totp(secret)
    matching = [
        step
        for step in range(present - SKEW_STEPS, present + SKEW_STEPS + 1)
        if pyotp.utils.strings_equal(made.generate_otp(step), code)
    ]
    return max(matching, default=None)


def use_step(staff: Body, step: int | None) -> bool:
    """Use a code, once: whether its step is behind the last one that was used."""
    if step is None or step <= staff["last_step"]:
        return False
    staff["last_step"] = step
    return True


def is_recovery(code: str) -> bool:
    """Whether a text has the form of a recovery code."""
    return _RECOVERY.fullmatch(code) is not None


def use_recovery(staff: Body, digest: str) -> bool:
    """Use a recovery code, once."""
    if digest not in staff["recovery"]:
        return False
    staff["recovery"].remove(digest)
    return True


# The account's life


def new_staff(name_digest: str, now_ms: int) -> Body:
    """Somebody who was invited and cannot sign in yet. `invitation` numbers the invitations."""
    return {
        "name": name_digest,
        "state": "invited",
        "invitation": 1,
        "invited_until_ms": now_ms + INVITED_MS,
        "last_step": 0,
        "recovery": [],
        "addresses": [],
    }


def invite_again(staff: Body, now_ms: int) -> None:
    """A new invitation, also for whoever lost password or phone; what was there is good no more."""
    staff.update(
        state="invited",
        invitation=staff["invitation"] + 1,
        invited_until_ms=now_ms + INVITED_MS,
        recovery=[],
        addresses=[],
    )
    for member in ("sealed", "attempt"):
        staff.pop(member, None)


def check_invited(staff: Body, number: int, now_ms: int) -> None:
    """Raise INVITATION_OVER unless this invitation is the one that is open."""
    is_it = staff["state"] == "invited" and staff["invitation"] == number
    if not is_it or now_ms >= staff["invited_until_ms"]:
        raise Refused(INVITATION_OVER)


def enrol(staff: Body, sealed: str, step: int, recovery: list[str]) -> None:
    """Begin to sign in: with what is sealed of password and second factor, whose first code was
    of `step`.
    """
    staff.update(state="open", sealed=sealed, last_step=step, recovery=recovery)


def signed_in(staff: Body, address: str) -> None:
    """Remember where somebody signed in from, newest last."""
    known = [each for each in staff["addresses"] if each != address]
    staff["addresses"] = [*known, address][-ADDRESSES_MAX:]


# Delays


@dataclass(frozen=True, slots=True)
class Tried:
    """What was counted before a try (None: nothing): for its name from its address, for the name
    from everywhere, for the address with all names; and whether the account is known there, by the
    browser and by the address.
    """

    here: Body | None
    everywhere: Body | None
    by_address: Body | None
    is_known: bool


def check_delay(tried: Tried, now_ms: int) -> None:
    """Raise TRY_LATER while a try has to wait, with the seconds."""
    others = [] if tried.is_known else [tried.everywhere, tried.by_address]
    counted = [tried.here, *others]
    free_ms = max((each["free_ms"] for each in counted if each is not None), default=0)
    if now_ms < free_ms:
        raise Refused(TRY_LATER, retry_after_seconds=(free_ms - now_ms + 999) // 1000)


def failed(counted: Body | None, free: int, now_ms: int) -> Body:
    """One failure more; the first `free` cost no time."""
    before = 0 if counted is None or now_ms >= counted["until_ms"] else counted["count"]
    count = before + 1
    delay_ms = 0
    if count > free:
        delay_ms = min(FIRST_DELAY_MS << min(count - free - 1, 20), DELAY_MS_MAX)
    return {"count": count, "free_ms": now_ms + delay_ms, "until_ms": now_ms + FORGOTTEN_MS}


def failed_at(counted: Body | None, now_ms: int) -> Body:
    """One failure more of an address; after ADDRESS_FREE it waits for the end of its window."""
    if counted is None or now_ms >= counted["until_ms"]:
        return {"count": 1, "free_ms": now_ms, "until_ms": now_ms + ADDRESS_MS}
    count, until_ms = counted["count"] + 1, counted["until_ms"]
    free_ms = until_ms if count >= ADDRESS_FREE else now_ms
    return {"count": count, "free_ms": free_ms, "until_ms": until_ms}
