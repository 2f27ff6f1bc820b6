"""The rules about people: names, roles, delegations, staff; without a database."""

from dataclasses import replace
from datetime import date, timedelta
from itertools import combinations

import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st
from stdnum.cn import ric

from services.identity.domain import delegations, names, roles, staff
from services.identity.domain.delegations import Terms
from shared.errors import INVALID, Refused
from shared.storage.catalogue import Body
from shared.times import DAY_MS, HOUR_MS, midnight_ms

NOW = midnight_ms(date(2026, 5, 1)) + 10 * HOUR_MS
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def number_of(born: date, order: int = 1) -> str:
    """A resident ID number with the right check digit."""
    body = f"620102{born:%Y%m%d}{order:03d}"
    return body + ric.calc_check_digit(body + "0")


def refused(slug: str) -> pytest.RaisesExc[Refused]:
    return pytest.raises(Refused, match=f"^{slug}$")


# Names


@given(st.dates(date(1920, 1, 1), date(2026, 4, 30)), st.integers(0, 999), st.integers(0, 17))
def test_a_number_says_a_birth_date_and_one_wrong_digit_is_told(
    born: date, order: int, place: int
) -> None:
    number = number_of(born, order)
    assert names.person("张三", number, NOW).born == born
    wrong = str((int(number[place]) + 1) % 10) if number[place] != "X" else "0"
    with refused(INVALID.slug) as caught:
        names.person("张三", number[:place] + wrong + number[place + 1 :], NOW)
    assert caught.value.fields[0].field == "number"


@pytest.mark.parametrize("name", ["", "张", "Zhang San", "·三", "张三·", "张三<", "张" * 51])
def test_what_is_no_name_is_refused_by_name(name: str) -> None:
    with refused(INVALID.slug) as caught:
        names.person(name, number_of(date(1990, 1, 1)), NOW)
    assert caught.value.fields[0].field == "name"


@pytest.mark.parametrize("born", [date(2026, 5, 2), date(1890, 1, 1)])
def test_nobody_is_born_tomorrow_or_too_long_ago(born: date) -> None:
    with refused(INVALID.slug):
        names.person("张三", number_of(born), NOW)


def test_what_is_shown_is_masked_and_what_is_sealed_comes_back() -> None:
    person = names.person(" 买买提•江 ", number_of(date(1990, 1, 1)).lower(), NOW)
    assert person.name == "买买提·江"
    assert names.masked(person) == ("买****", f"6{'*' * 16}{person.number[-1]}")
    assert names.opened(names.content(person)) == person
    with_phone = replace(person, phone="+8613800000001")
    assert names.opened(names.content(with_phone)) == with_phone


def test_a_birthday_is_a_day_in_gansu() -> None:
    born = date(2012, 2, 29)
    assert names.birthday(born, 14) == date(2026, 2, 28)
    turning = midnight_ms(date(2026, 2, 28))
    assert names.is_younger(born, 14, turning - 1)
    assert not names.is_younger(born, 14, turning)


# Roles


def test_duties_are_apart_whatever_the_order() -> None:
    for first, second in combinations(roles.GIVEN, 2):
        for order in ((first, second), (second, first)):
            account: Body = {"roles": ["citizen"]}
            roles.give(account, order[0])
            if {first, second} & set(roles.POWERS):
                with refused("duties-apart"):
                    roles.give(account, order[1])
                assert account["roles"] == sorted(["citizen", order[0]])
            else:
                roles.give(account, order[1])


def test_who_gives_what() -> None:
    for role in roles.BUSINESS:
        roles.check_giver(role, "a", ["operator"], "b")
        with refused("forbidden"):
            roles.check_giver(role, "a", ["security"], "b")
    for role in roles.POWERS:
        roles.check_giver(role, "a", ["security"], "b")
        for other in ("operator", "auditor", "citizen"):
            with refused("forbidden"):
                roles.check_giver(role, "a", [other], "b")
    for role in ("citizen", "partner", "gate", "king"):
        with refused(INVALID.slug):
            roles.giver(role)


def test_nobody_changes_their_own_or_agrees_with_themselves() -> None:
    with refused("own-roles"):
        roles.check_giver("auditor", "a", ["security"], "a")
    request = roles.new_request("b", "auditor", "a", "why", NOW)
    with refused("second-officer-needed"):
        roles.check_second(request, "a")
    roles.check_second(request, "c")


# Delegations

TERMS = Terms("station_agent", ["orders:read", "orders:write"], 30)


def live(terms: Terms = TERMS) -> Body:
    made = delegations.new_request("agent", terms, "tel", "code", "sealed", NOW)
    assert delegations.attempt(made, right=True, now_ms=NOW)
    delegations.begin(made, "person", NOW)
    return made


@given(st.lists(st.sampled_from([*delegations.SCOPES, "account:read", "roles:write", "x"])))
def test_a_token_never_says_more_than_was_delegated(asked: list[str]) -> None:
    given_scopes = delegations.cut(live(), asked)
    assert set(given_scopes) <= set(TERMS.scopes)
    assert set(given_scopes) == (set(asked) & set(TERMS.scopes) if asked else set(TERMS.scopes))


@pytest.mark.parametrize(
    ("kind", "scopes", "days", "slug"),
    [
        ("station_agent", ["account:read"], 1, INVALID.slug),
        ("station_agent", ["delegations:write"], 1, INVALID.slug),
        ("station_agent", [], 1, INVALID.slug),
        ("station_agent", ["orders:read", "orders:read"], 1, INVALID.slug),
        ("station_agent", ["orders:read"], 91, INVALID.slug),
        ("station_agent", ["orders:read"], 0, INVALID.slug),
        ("guardian", ["orders:read"], 366, INVALID.slug),
    ],
)
def test_terms_are_bounded(kind: str, scopes: list[str], days: int, slug: str) -> None:
    with refused(slug):
        delegations.check(Terms(kind, scopes, days), ["station_agent"])


def test_only_an_agent_asks_as_one() -> None:
    with refused("not-an-agent"):
        delegations.check(TERMS, ["citizen", "operator"])
    delegations.check(TERMS, ["station_agent"])
    delegations.check(Terms("guardian", ["orders:read"], 365), ["citizen"])


def test_a_delegation_ends_with_its_term_to_the_millisecond() -> None:
    made = live()
    until = NOW + 30 * DAY_MS
    assert delegations.is_live(made, None, until - 1)
    assert not delegations.is_live(made, None, until)


def test_taken_back_is_over_at_once_and_for_good() -> None:
    made = live()
    delegations.take_back(made, "person", NOW + 1)
    delegations.take_back(made, "operator", NOW + 2)
    assert not delegations.is_live(made, None, NOW + 1)
    assert (made["state"], made["ended_by"], made["ended_ms"]) == ("taken_back", "person", NOW + 1)
    assert "standing_for" not in made


def test_guesses_are_few_and_late_codes_are_none() -> None:
    made = delegations.new_request("agent", TERMS, "tel", "code", "sealed", NOW)
    for _ in range(delegations.TRIES_MAX):
        assert not delegations.attempt(made, right=False, now_ms=NOW)
    assert not delegations.attempt(made, right=True, now_ms=NOW)
    assert made["state"] == "failed"
    assert "sealed" not in made
    late = delegations.new_request("agent", TERMS, "tel", "code", "sealed", NOW)
    assert not delegations.attempt(late, right=True, now_ms=NOW + delegations.CODE_MS)


@given(st.dates(date(2012, 5, 2), date(2026, 4, 30)))
def test_a_guardianship_ends_on_the_fourteenth_birthday(born: date) -> None:
    made = delegations.new_guardianship("mother", "child", NOW)
    turning = midnight_ms(names.birthday(born, 14))
    assert delegations.is_live(made, born, turning - 1)
    assert not delegations.is_live(made, born, turning)
    assert not delegations.is_live(made, None, NOW)
    assert delegations.ends_ms(made, born) == turning
    # Nothing of it tells when: not the birthday, nor what could be counted back to it.
    assert turning not in made.values()
    assert str(born) not in str(made)
    assert made["gone_ms"] - delegations.KEPT_MS > turning


def test_nobody_acts_for_themselves() -> None:
    made = delegations.new_request("agent", TERMS, "tel", "code", "sealed", NOW)
    with refused("own-delegation"):
        delegations.begin(made, "agent", NOW)


# Staff


def test_a_code_is_good_once_and_for_one_step_to_either_side() -> None:
    step = NOW // 30_000
    codes = {offset: staff.totp(SECRET).generate_otp(step + offset) for offset in range(-3, 4)}
    good = {offset for offset, code in codes.items() if staff.step_of(SECRET, code, NOW)}
    assert good == {-1, 0, 1}
    member = staff.new_staff("name", NOW)
    assert staff.use_step(member, staff.step_of(SECRET, codes[0], NOW))
    assert not staff.use_step(member, staff.step_of(SECRET, codes[0], NOW))
    assert not staff.use_step(member, staff.step_of(SECRET, codes[-1], NOW))
    assert staff.use_step(member, staff.step_of(SECRET, codes[1], NOW))


@pytest.mark.parametrize("code", ["", "12345", "1234567", "１２３４５６", "abcdef", " 12345"])
def test_what_is_no_code_is_none(code: str) -> None:
    assert staff.step_of(SECRET, code, NOW) is None


def test_a_recovery_code_is_good_once() -> None:
    member = {**staff.new_staff("name", NOW), "recovery": ["a", "b"]}
    assert staff.use_recovery(member, "a")
    assert not staff.use_recovery(member, "a")
    assert staff.use_recovery(member, "b")


def test_passwords_are_argon2id_with_the_stated_parameters_and_rehashed_after_a_change() -> None:
    kept = staff.hashed("correct horse battery", "li.si")
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert staff.is_password(kept, "correct horse battery")
    assert not staff.is_password(kept, "correct horse batterz")
    assert not staff.is_password("no hash", "correct horse battery")
    assert not staff.needs_rehash(kept)
    weak = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash("x")
    assert staff.needs_rehash(weak)


@pytest.mark.parametrize("password", ["short", "a" * 20, "my-li.si-password", "x" * 129])
def test_weak_passwords_are_refused(password: str) -> None:
    with refused(INVALID.slug):
        staff.hashed(password, "li.si")


def test_delays_grow_are_bounded_and_end() -> None:
    counted: Body | None = None
    delays = []
    now = NOW
    for _ in range(30):
        counted = staff.failed(counted, staff.FREE_FAILURES, now)
        delays.append(counted["free_ms"] - now)
        now = counted["free_ms"]
    assert delays[:5] == [0, 0, 0, 2_000, 4_000]
    assert delays == sorted(delays)
    assert max(delays) == staff.DELAY_MS_MAX
    assert counted is not None
    again = staff.failed(counted, staff.FREE_FAILURES, counted["until_ms"])
    assert again["count"] == 1


def test_strangers_elsewhere_do_not_delay_a_known_address() -> None:
    blocked = {"count": 99, "free_ms": NOW + HOUR_MS, "until_ms": NOW + DAY_MS}
    staff.check_delay(staff.Tried(None, blocked, None, is_known=True), NOW)
    with refused("staff-sign-in-delayed") as caught:
        staff.check_delay(staff.Tried(None, blocked, None, is_known=False), NOW)
    assert caught.value.retry_after_seconds == 3600
    with refused("staff-sign-in-delayed"):
        staff.check_delay(staff.Tried(blocked, None, None, is_known=True), NOW)
    staff.check_delay(staff.Tried(blocked, None, None, is_known=True), NOW + HOUR_MS)


def test_an_address_waits_until_its_window_ends_however_it_goes_on() -> None:
    counted: Body | None = None
    for place in range(staff.ADDRESS_FREE):
        staff.check_delay(staff.Tried(None, None, counted, is_known=False), NOW + place)
        counted = staff.failed_at(counted, NOW + place)
    with refused("staff-sign-in-delayed") as caught:
        staff.check_delay(staff.Tried(None, None, counted, is_known=False), NOW + 1_000)
    assert caught.value.retry_after_seconds == 599
    staff.check_delay(staff.Tried(None, None, counted, is_known=True), NOW + 1_000)
    end = NOW + staff.ADDRESS_MS
    staff.check_delay(staff.Tried(None, None, counted, is_known=False), end)
    assert staff.failed_at(counted, end)["count"] == 1


def test_an_invitation_is_one_at_a_time_and_ends() -> None:
    member = staff.new_staff("name", NOW)
    staff.check_invited(member, 1, NOW)
    with refused("invitation-over"):
        staff.check_invited(member, 1, NOW + staff.INVITED_MS)
    staff.invite_again(member, NOW)
    with refused("invitation-over"):
        staff.check_invited(member, 1, NOW)
    staff.check_invited(member, 2, NOW + timedelta(days=2) // timedelta(milliseconds=1))
    staff.enrol(member, "sealed", 1, [])
    with refused("invitation-over"):
        staff.check_invited(member, 2, NOW)
