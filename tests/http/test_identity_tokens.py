"""Tokens: given for a code, a refresh token or a secret, once; taken back; trusted by services."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from joserfc import jws

from services.identity.domain.grants import (
    CODE_MS,
    GRACE_MS,
    IDLE_MS,
    STAFF_IDLE_MS,
    STAFF_WHOLE_MS,
    WHOLE_MS,
)
from shared.errors import Refused
from tests.support.bureau import (
    APP,
    FIRM,
    OFFICE,
    OPERATOR,
    REDIRECT,
    TOKEN_SECONDS,
    Bureau,
    claims_of,
    denied,
    given,
)
from tests.support.people import set_account
from tests.support.served import json_of, made
from tests.support.tokens import ISSUER

NUMBER = "13800000001"


# What a token says


def test_an_access_token_says_what_services_expect(bureau: Bureau) -> None:
    tokens = bureau.sign_in(NUMBER)
    header = jws.extract_compact(tokens["access_token"].encode()).headers()
    claims = claims_of(tokens["access_token"])
    now = bureau.clock.now_ms() // 1000
    assert (header["alg"], header["typ"]) == ("ES256", "at+jwt")
    assert re.fullmatch(r"account_[0-9a-f]{32}", claims.pop("sub"))
    assert re.fullmatch(r"grant_[0-9a-f]{32}\.[0-9a-f]{32}", claims.pop("jti"))
    assert claims == {
        "iss": ISSUER,
        "aud": ["commerce", "identity"],
        "iat": now,
        "nbf": now,
        "exp": now + TOKEN_SECONDS,
        "client_id": APP,
        "scope": "openid account:read orders:read orders:write",
        "roles": ["citizen"],
        "auth_time": now,
    }
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", TOKEN_SECONDS)


def test_a_service_trusts_it_and_another_does_not(bureau: Bureau) -> None:
    bearer = f"Bearer {bureau.sign_in(NUMBER)['access_token']}"
    identity = bureau.verifier_for("commerce").identify(bearer)
    assert identity.roles == {"citizen"}
    assert {"orders:read", "orders:write"} <= identity.scopes
    with pytest.raises(Refused):
        bureau.verifier_for("health").identify(bearer)


def test_an_id_token_says_who_signed_in_to_which_app(bureau: Bureau) -> None:
    tokens = bureau.sign_in(NUMBER)
    claims = claims_of(tokens["id_token"])
    assert claims["aud"] == APP
    assert claims["iss"] == ISSUER
    assert claims["nonce"] == "a nonce of the app"
    assert claims["sub"] == claims_of(tokens["access_token"])["sub"]
    with pytest.raises(Refused):
        bureau.verifier_for("commerce").identify(f"Bearer {tokens['id_token']}")


def test_a_scope_is_for_those_whose_roles_it_is_for(bureau: Bureau) -> None:
    page = bureau.authorize(scope="orders:read stores:write sessions:write")
    answer = bureau.give_code(bureau.ask_code(NUMBER, page=page), bureau.code_sent())
    code = answer.headers["Location"].partition("code=")[2].partition("&")[0]
    tokens = given(bureau.redeem(code))
    assert tokens["scope"] == "orders:read"
    assert "id_token" not in tokens


# Codes


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": "another-verifier-of-the-right-length-0123456789"}, "invalid_grant"),
        ({"code_verifier": ""}, "invalid_request"),
        ({"code_verifier": "short"}, "invalid_request"),
        ({"redirect_uri": f"{REDIRECT}/"}, "invalid_grant"),
        ({"redirect_uri": ""}, "invalid_grant"),
        ({"client_id": "other-app"}, "invalid_grant"),
        ({"client_id": FIRM}, "invalid_client"),
        ({"client_id": "nobody"}, "invalid_client"),
        ({"client_id": ""}, "invalid_client"),
        ({"client_secret": "x"}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials"}, "invalid_client"),
        ({"grant_type": ""}, "invalid_request"),
    ],
)
def test_a_code_is_for_its_own_app_and_request(
    bureau: Bureau, changes: dict[str, str], error: str
) -> None:
    other = {
        "id": "other-app",
        "kind": "app",
        "name_zh": "另一个",
        "name_en": "Another",
        "redirect_uris": [REDIRECT],
        "scopes": ["openid"],
        "roles": [],
    }
    made(bureau.post("/v1/clients", other, by="operator-1"))
    code = bureau.code_for_app(NUMBER)
    status = 401 if error == "invalid_client" else 400
    denied(bureau.redeem(code, **changes), error, status)
    given(bureau.redeem(code))


@pytest.mark.parametrize("place", [0, 10, 45, 60, -1])
def test_a_code_that_was_never_made_is_refused(bureau: Bureau, place: int) -> None:
    code = bureau.code_for_app(NUMBER)
    letters = list(code)
    letters[place] = "a" if letters[place] != "a" else "b"
    # The last character of base64 holds bits that say nothing: the text itself is what counts.
    denied(bureau.redeem("".join(letters)), "invalid_grant")


@pytest.mark.parametrize("code", ["x", "grant_", "\x00", "é" * 90, "x" * 9000])
def test_a_code_of_another_form_is_refused(bureau: Bureau, code: str) -> None:
    denied(bureau.redeem(code), "invalid_grant")


def test_a_code_is_good_for_a_minute(bureau: Bureau) -> None:
    code = bureau.code_for_app(NUMBER)
    bureau.clock.pass_wall(seconds=CODE_MS / 1000)
    denied(bureau.redeem(code), "invalid_grant")


def test_a_code_that_is_used_twice_ends_what_it_gave(bureau: Bureau) -> None:
    code = bureau.code_for_app(NUMBER)
    tokens = given(bureau.redeem(code))
    denied(bureau.redeem(code), "invalid_grant")
    denied(bureau.refresh(tokens["refresh_token"]), "invalid_grant")
    denied(bureau.redeem(code), "invalid_grant")


def test_of_many_who_redeem_a_code_at_once_one_gets_tokens_at_most(bureau: Bureau) -> None:
    code = bureau.code_for_app(NUMBER)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: bureau.redeem(code), range(8)))
    assert [answer.status_code for answer in answers].count(200) == 1
    [tokens] = [json_of(answer) for answer in answers if answer.status_code == 200]
    denied(bureau.refresh(tokens["refresh_token"]), "invalid_grant")


# Refresh tokens


def test_a_refresh_token_turns_over(bureau: Bureau) -> None:
    tokens = bureau.sign_in(NUMBER)
    seen = {tokens["refresh_token"]}
    for _ in range(5):
        bureau.clock.pass_wall(hours=1)
        tokens = given(bureau.refresh(tokens["refresh_token"]))
        assert tokens["refresh_token"] not in seen
        seen.add(tokens["refresh_token"])
        assert bureau.get("/v1/account", token=tokens["access_token"]).status_code == 200
    assert claims_of(tokens["access_token"])["auth_time"] < bureau.clock.now_ms() // 1000 - 3600


def test_one_that_was_used_before_ends_the_whole_grant(bureau: Bureau) -> None:
    old = bureau.sign_in(NUMBER)["refresh_token"]
    new = given(bureau.refresh(old))["refresh_token"]
    bureau.clock.pass_wall(seconds=GRACE_MS / 1000)
    denied(bureau.refresh(old), "invalid_grant")
    denied(bureau.refresh(new), "invalid_grant")
    bureau.clock.pass_wall(seconds=61)
    given(bureau.refresh(bureau.sign_in(NUMBER)["refresh_token"]))


def test_a_lost_reply_is_given_again(bureau: Bureau) -> None:
    old = bureau.sign_in(NUMBER)["refresh_token"]
    lost = given(bureau.refresh(old))
    bureau.clock.pass_wall(seconds=GRACE_MS / 1000 - 1)
    again = given(bureau.refresh(old))
    assert again["refresh_token"] == lost["refresh_token"]
    given(bureau.refresh(again["refresh_token"]))


def test_a_reply_is_not_given_again_once_its_successor_was_used(bureau: Bureau) -> None:
    old = bureau.sign_in(NUMBER)["refresh_token"]
    second = given(bureau.refresh(old))["refresh_token"]
    third = given(bureau.refresh(second))["refresh_token"]
    denied(bureau.refresh(old), "invalid_grant")
    denied(bureau.refresh(third), "invalid_grant")


def test_many_at_once_get_one_successor(bureau: Bureau) -> None:
    old = bureau.sign_in(NUMBER)["refresh_token"]
    with ThreadPoolExecutor(8) as pool:
        answers = [given(answer) for answer in pool.map(lambda _: bureau.refresh(old), range(8))]
    [successor] = {answer["refresh_token"] for answer in answers}
    given(bureau.refresh(successor))


def test_two_containers_know_of_each_other(bureau: Bureau, tmp_path: Path) -> None:
    with bureau.another(tmp_path / "another") as other, ThreadPoolExecutor(8) as pool:
        places = [bureau.client, other] * 4
        code = bureau.code_for_app(NUMBER)
        redeemed = list(pool.map(lambda at: bureau.redeem(code, at).status_code, places))
        assert redeemed.count(200) == 1
        for round_ in range(5):
            bureau.clock.pass_wall(seconds=61)
            old = bureau.sign_in(NUMBER if round_ % 2 else "13800000002")["refresh_token"]
            answers = list(pool.map(lambda at, old=old: bureau.refresh(old, at), places))
            [successor] = {given(answer)["refresh_token"] for answer in answers}
            bureau.clock.pass_wall(seconds=61)
            given(bureau.refresh(successor, other))
            denied(bureau.refresh(old), "invalid_grant")
            denied(bureau.refresh(successor, other), "invalid_grant")


def test_a_refresh_token_is_for_its_own_app(bureau: Bureau) -> None:
    token = bureau.sign_in(NUMBER)["refresh_token"]
    denied(bureau.refresh(token, client_id=FIRM), "invalid_client", 401)
    denied(bureau.refresh(token, client_id="nobody"), "invalid_client", 401)
    denied(bureau.refresh(token + "x"), "invalid_grant")
    denied(bureau.refresh(token.replace(".0.", ".1.")), "invalid_grant")
    denied(bureau.refresh(""), "invalid_grant")
    given(bureau.refresh(token))


def test_a_refresh_can_ask_for_less_and_for_no_more(bureau: Bureau) -> None:
    tokens = bureau.sign_in(NUMBER)
    denied(bureau.refresh(tokens["refresh_token"], scope="tickets:read"), "invalid_scope")
    less = given(bureau.refresh(tokens["refresh_token"], scope="orders:read"))
    assert claims_of(less["access_token"])["aud"] == ["commerce"]
    whole = given(bureau.refresh(less["refresh_token"]))
    assert whole["scope"] == tokens["scope"]


def test_what_an_account_is_shows_at_the_next_refresh(bureau: Bureau) -> None:
    tokens = bureau.sign_in(NUMBER)
    account = claims_of(tokens["access_token"])["sub"]
    set_account(bureau, account, roles=["citizen", "merchant"])
    tokens = given(bureau.refresh(tokens["refresh_token"]))
    assert claims_of(tokens["access_token"])["roles"] == ["citizen", "merchant"]
    set_account(bureau, account, state="closed")
    denied(bureau.refresh(tokens["refresh_token"]), "invalid_grant")


def test_a_scope_that_was_taken_from_an_app_ends_with_the_next_refresh(bureau: Bureau) -> None:
    code = bureau.code_for_app("13800000002")
    tokens = bureau.sign_in(NUMBER)
    change_scopes(bureau, ["openid", "orders:read", "tickets:read"])
    less = given(bureau.refresh(tokens["refresh_token"]))
    assert less["scope"] == "openid orders:read"
    assert claims_of(less["access_token"])["aud"] == ["commerce", "identity"]
    assert given(bureau.redeem(code))["scope"] == "openid orders:read"
    denied(bureau.refresh(less["refresh_token"], scope="orders:write"), "invalid_scope")
    both = bureau.refresh(less["refresh_token"], scope="orders:read orders:write")
    assert given(both)["scope"] == "orders:read"


def test_a_sign_in_of_which_no_scope_is_left_gives_no_token(bureau: Bureau) -> None:
    """No scope is not every scope that the app may have."""
    token = bureau.sign_in(NUMBER, scope="orders:read")["refresh_token"]
    change_scopes(bureau, [])
    code = bureau.code_for_app("13800000002", scope=None)
    change_scopes(bureau, ["openid", "tickets:read"])
    denied(bureau.refresh(token), "invalid_scope")
    denied(bureau.redeem(code), "invalid_scope")


def change_scopes(bureau: Bureau, scopes: list[str]) -> None:
    path = f"/v1/clients/{APP}"
    headers = {"If-Match": bureau.get(path, by=OPERATOR).headers["ETag"]}
    answer = bureau.ask("PATCH", path, {"scopes": scopes}, by=OPERATOR, headers=headers)
    assert answer.status_code == 200, answer.text


def test_a_number_alone_gives_no_power_over_others_to_who_was_a_citizen_then(
    bureau: Bureau,
) -> None:
    bureau.open_office()
    asked = "openid account:read roles:read clients:write"
    code = bureau.code_for_app(NUMBER, client_id=OFFICE, scope=asked)
    tokens = given(bureau.redeem(code, client_id=OFFICE))
    account = claims_of(tokens["access_token"])["sub"]
    bureau.clock.pass_wall(seconds=61)
    unused = bureau.code_for_app(NUMBER, client_id=OFFICE, scope=asked)
    set_account(bureau, account, roles=["citizen", "operator"])
    denied(bureau.refresh(tokens["refresh_token"], client_id=OFFICE), "invalid_grant")
    denied(bureau.redeem(unused, client_id=OFFICE), "invalid_grant")


def test_a_grant_that_is_not_used_for_a_month_is_over(bureau: Bureau) -> None:
    token = bureau.sign_in(NUMBER)["refresh_token"]
    bureau.clock.pass_wall(seconds=IDLE_MS / 1000 - 1)
    token = given(bureau.refresh(token))["refresh_token"]
    bureau.clock.pass_wall(seconds=IDLE_MS / 1000)
    denied(bureau.refresh(token), "invalid_grant")


def test_a_grant_that_is_used_daily_ends_all_the_same(bureau: Bureau) -> None:
    token = bureau.sign_in(NUMBER)["refresh_token"]
    for _ in range(WHOLE_MS // IDLE_MS):
        token = given(bureau.refresh(token))["refresh_token"]
        bureau.clock.pass_wall(seconds=IDLE_MS / 1000 - 1)
    token = given(bureau.refresh(token))["refresh_token"]
    bureau.clock.pass_wall(seconds=60)
    denied(bureau.refresh(token), "invalid_grant")


def test_who_keeps_others_affairs_signs_in_each_shift(tmp_path: Path) -> None:
    with Bureau(tmp_path, staff_by_number=True) as bureau:
        account = claims_of(bureau.sign_in(NUMBER)["access_token"])["sub"]
        set_account(bureau, account, roles=["clinician"])
        bureau.clock.pass_wall(seconds=61)
        token = bureau.sign_in(NUMBER)["refresh_token"]
        for _ in range(2 * STAFF_WHOLE_MS // STAFF_IDLE_MS):
            token = given(bureau.refresh(token))["refresh_token"]
            bureau.clock.pass_wall(seconds=STAFF_IDLE_MS / 2000)
        denied(bureau.refresh(token), "invalid_grant")
        token = bureau.sign_in(NUMBER)["refresh_token"]
        bureau.clock.pass_wall(seconds=STAFF_IDLE_MS / 1000)
        denied(bureau.refresh(token), "invalid_grant")
