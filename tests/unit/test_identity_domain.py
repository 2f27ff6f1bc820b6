"""The rules of identity, without a database: scopes and roles, numbers, counts, keys, secrets."""

import re

import pytest

from infra.seeds.identity import samples
from services.identity.domain import grants, keys, scopes, sign_ins
from services.identity.domain.grants import Asked
from services.identity.domain.keys import AHEAD_MS, SIGNS_MS
from services.identity.domain.secrets import Secrets
from services.identity.domain.sign_ins import Limit
from shared.auth.keys import REFRESH_SECONDS
from shared.errors import Refused
from shared.settings import IdentitySettings
from shared.storage.catalogue import Body
from shared.times import HOUR_MS
from tests.support.clock import FakeClock
from tests.support.houses import EVERY_ROUTE

NOW_MS = 1_767_225_600_000


@pytest.fixture
def secrets() -> Secrets:
    return Secrets(b"d" * 32, b"t" * 32, b"s" * 32, FakeClock().random)


# Scopes


def test_every_scope_that_a_route_asks_for_can_be_had_by_those_it_is_for() -> None:
    for each in EVERY_ROUTE:
        route = each.route
        if route.scope is not None:
            assert scopes.SCOPES[route.scope].service == each.house.name, each.name
            assert route.roles & scopes.SCOPES[route.scope].roles, each.name


def test_no_scope_is_for_nothing() -> None:
    asked = {each.route.scope for each in EVERY_ROUTE} | {scopes.OPENID}
    assert set(scopes.SCOPES) == asked - {None}


def test_roles_decide_what_is_granted() -> None:
    everything = list(scopes.SCOPES)
    assert "orders:write" in scopes.granted(everything, ["citizen"])
    assert "stores:write" not in scopes.granted(everything, ["citizen"])
    assert scopes.granted(everything, ["gate"]) == ["openid", "account:read", "tickets:check"]
    assert scopes.granted(["unknown"], scopes.ROLES) == []
    assert scopes.audience(["orders:read", "orders:write", "openid"]) == ["commerce", "identity"]
    assert scopes.named(" a  b a ") == ["a", "b"]


# Samples


def test_samples_are_people_numbers_and_clients_of_one_kind_each() -> None:
    read = samples()
    numbers = [row["phone"] for row in read["accounts"]]
    assert len(set(numbers)) == len(numbers)
    assert all(sign_ins.number_of(number) == number for number in numbers)
    assert len({row["name"] for row in read["accounts"]}) == len(numbers)
    for row in read["accounts"]:
        assert row["sample"] is True
        assert set(row["roles"]) <= set(scopes.PEOPLE)
    for row in read["clients"]:
        assert row["sample"] is True
        assert "示例" in row["name_zh"]


# Counting


def test_a_window_begins_with_the_first_and_ends_for_all() -> None:
    limit = Limit(2, 1000)
    first = sign_ins.count(None, limit, NOW_MS)
    second = sign_ins.count(first, limit, NOW_MS + 999)
    assert (second["count"], second["until_ms"]) == (2, NOW_MS + 1000)
    with pytest.raises(Refused) as refused:
        sign_ins.count(second, limit, NOW_MS + 999)
    assert refused.value.problem is sign_ins.TOO_MANY_CODES
    assert refused.value.retry_after_seconds == 1
    assert sign_ins.count(second, limit, NOW_MS + 1000)["count"] == 1


# Grants


def shift() -> Body:
    """A grant of somebody who keeps others' affairs, its code redeemed."""
    asked = Asked("app", "cn.gansu.app:/signed-in", "openid", "x" * 43, "")
    grant = grants.new_grant("account_1", asked, staff=True, now_ms=NOW_MS)
    assert grants.redeem(grant, NOW_MS)
    return grant


def test_a_shift_that_rests_for_an_hour_is_over() -> None:
    grant = shift()
    assert grants.rotate(grant, 0, NOW_MS + HOUR_MS - 1)
    assert not grants.rotate(grant, 1, NOW_MS + 2 * HOUR_MS - 1)


def test_a_shift_ends_after_twelve_hours_however_busy_it_is() -> None:
    grant = shift()
    for number in range(23):
        assert grants.rotate(grant, number, NOW_MS + (number + 1) * HOUR_MS // 2)
    assert grants.rotate(grant, 23, NOW_MS + 12 * HOUR_MS - 1)
    assert not grants.rotate(grant, 24, NOW_MS + 12 * HOUR_MS)


# Keys


def test_a_key_is_published_for_longer_than_anybody_keeps_the_old_ones() -> None:
    assert AHEAD_MS > 10 * 1000 * REFRESH_SECONDS
    assert AHEAD_MS < SIGNS_MS
    longest = next(
        field.metadata["parse"]
        for field in IdentitySettings.__dataclass_fields__.values()
        if field.name == "token_seconds"
    )
    assert longest(str(keys.TOKEN_MS_MAX // 1000)) * 1000 == keys.TOKEN_MS_MAX
    with pytest.raises(ValueError, match="whole number"):
        longest(str(keys.TOKEN_MS_MAX // 1000 + 1))


def test_there_is_a_key_to_sign_with_at_every_moment() -> None:
    made: list[Body] = []
    for day in range(200):
        now_ms = NOW_MS + day * 86_400_000
        from_ms = keys.next_from_ms(made, now_ms)
        if from_ms is not None:
            made.append(keys.new_key({}, "", from_ms))
        assert sum(keys.signs(key, now_ms) for key in made) == 1


# What others hold


def test_what_others_hold_says_what_it_is_for_and_cannot_be_made_up(secrets: Secrets) -> None:
    grant = f"grant_{'0' * 32}"
    code, token = secrets.authorization_code(grant), secrets.refresh_token(grant, 7)
    assert secrets.grant_of(code) == grant
    read = secrets.refresh_of(token)
    assert read is not None
    assert (read.grant, read.number) == (grant, 7)
    other = Secrets(b"d" * 32, b"T" * 32, b"s" * 32, FakeClock().random)
    assert other.grant_of(code) is None
    assert other.refresh_of(token) is None
    assert secrets.refresh_of(token.replace(".7.", ".8.")) is None
    assert secrets.refresh_of(token.replace(".7.", ".07.")) is None
    assert secrets.grant_of(token) is None
    assert secrets.refresh_of(code) is None
    assert secrets.client_secret("a", 1) != secrets.client_secret("a", 2)
    # Parts cannot run into each other.
    assert secrets.client_secret("a1", 1) != secrets.client_secret("a", 11)


def test_codes_are_of_six_digits_and_not_alike(secrets: Secrets) -> None:
    codes = [secrets.new_code() for _ in range(300)]
    assert all(re.fullmatch(r"[0-9]{6}", code) for code in codes)
    assert len(set(codes)) > 290
    assert secrets.code("sign_in_1", "000000") != secrets.code("sign_in_2", "000000")
