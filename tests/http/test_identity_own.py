"""Clients that act for themselves, tokens that are taken back, and what every library looks for."""

import base64
import gzip

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from werkzeug.test import TestResponse

from shared.storage.memory import drop, lose_reply
from tests.support.bureau import (
    APP,
    FIRM,
    HTTPS,
    VERIFIER,
    Bureau,
    claims_of,
    denied,
    given,
    returned,
)
from tests.support.served import json_of, made, refused
from tests.support.tokens import ISSUER

NUMBER = "13800000001"


# Clients that act for themselves


def firm_secret(bureau: Bureau) -> str:
    answer = bureau.post(f"/v1/clients/{FIRM}/secrets", by="operator-1")
    return str(made(answer)["secret"])


def test_a_firm_gets_a_token_for_its_secret(bureau: Bureau) -> None:
    secret = firm_secret(bureau)
    answer = given(bureau.by_secret(FIRM, secret))
    claims = claims_of(answer["access_token"])
    assert (claims["sub"], claims["client_id"]) == (FIRM, FIRM)
    assert claims["roles"] == ["partner"]
    assert "auth_time" not in claims
    assert answer.keys() == {"token_type", "access_token", "expires_in", "scope"}
    posted = bureau.form(
        "/token",
        {"grant_type": "client_credentials", "client_id": FIRM, "client_secret": secret},
    )
    assert claims_of(given(posted)["access_token"])["sub"] == FIRM


@pytest.mark.parametrize(
    "authorization",
    [
        "Basic !",
        "Basic",
        "Bearer a.b.c",
        "Basic " + base64.b64encode(b"\xff\xfe:x").decode(),
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Basic " + base64.b64encode(f"{FIRM}:".encode()).decode(),
        "Basic " + base64.b64encode(f"{FIRM}:wrong".encode()).decode(),
        "Basic " + base64.b64encode(f"{FIRM}:é".encode()).decode(),
        "Basic " + base64.b64encode(b"nobody:x").decode(),
        "Basic " + base64.b64encode(f"{APP}:x".encode()).decode(),
        "Basic " + base64.b64encode(b"x" * 290).decode(),
    ],
)
def test_a_wrong_secret_is_no_client(bureau: Bureau, authorization: str) -> None:
    answer = bureau.form(
        "/token", {"grant_type": "client_credentials"}, Authorization=authorization
    )
    assert answer.status_code in {400, 401}
    assert json_of(answer)["error"] in {"invalid_client", "invalid_request"}
    if answer.status_code == 401:
        assert answer.headers["WWW-Authenticate"].startswith("Basic")


def test_a_secret_is_renewed_without_a_gap(bureau: Bureau) -> None:
    # Long after the firm was made known: what is counted from is the renewal.
    bureau.clock.pass_wall(hours=24 * 30)
    first = firm_secret(bureau)
    second = firm_secret(bureau)
    assert first != second
    bureau.clock.pass_wall(hours=24 * 6)
    given(bureau.by_secret(FIRM, first))
    given(bureau.by_secret(FIRM, second))
    bureau.clock.pass_wall(hours=25)
    denied(bureau.by_secret(FIRM, first), "invalid_client", 401)
    given(bureau.by_secret(FIRM, second))
    firm_secret(bureau)
    firm_secret(bureau)
    denied(bureau.by_secret(FIRM, second), "invalid_client", 401)


def test_a_firm_gets_what_it_was_registered_for(bureau: Bureau) -> None:
    secret = firm_secret(bureau)
    denied(bureau.by_secret(FIRM, secret, scope="orders:read"), "invalid_scope")
    denied(bureau.by_secret(FIRM, secret, scope="everything"), "invalid_scope")
    code = {"grant_type": "authorization_code", "code": "x", "code_verifier": VERIFIER}
    denied(bureau.by_secret(FIRM, secret, **code), "invalid_client", 401)
    made(bureau.post(f"/v1/clients/{FIRM}/closure", by="operator-1"))
    denied(bureau.by_secret(FIRM, secret), "invalid_client", 401)


def test_which_firms_there_are_is_not_for_everybody(bureau: Bureau) -> None:
    firm_secret(bureau)
    tokens = bureau.sign_in(NUMBER)

    def answers(client: str) -> list[tuple[int, str, object]]:
        posted = {"client_id": client, "client_secret": "wrong"}
        code = {"grant_type": "authorization_code", "code": "x", "code_verifier": VERIFIER}
        own = {"grant_type": "client_credentials"}
        given = [
            bureau.by_secret(client, "wrong"),
            bureau.form("/token", {**own, **posted}),
            bureau.form("/token", {**own, "client_id": client}),
            bureau.form("/token", {**code, "client_id": client}),
            bureau.refresh(tokens["refresh_token"], client_id=client),
            bureau.form("/revoke", {"token": "x", **posted}),
            bureau.form("/revoke", {"token": "x", "client_id": client}),
            bureau.authorize(client_id=client),
        ]
        return [
            (each.status_code, each.text.replace(client, ""), each.headers.get("WWW-Authenticate"))
            for each in given
        ]

    assert answers(FIRM) == answers("no-such-firm")
    assert {status for status, *_ in answers(FIRM)} == {400, 401}


# Taken back


def revoke(bureau: Bureau, token: str, client: str = APP, **more: str) -> TestResponse:
    return bureau.form("/revoke", {"token": token, "client_id": client, **more})


@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
def test_any_token_of_a_grant_ends_it(bureau: Bureau, kind: str) -> None:
    tokens = bureau.sign_in(NUMBER)
    assert revoke(bureau, tokens[kind], token_type_hint=kind).status_code == 200
    denied(bureau.refresh(tokens["refresh_token"]), "invalid_grant")
    assert revoke(bureau, tokens[kind]).status_code == 200


def test_who_signs_out_everywhere_is_signed_out_everywhere(bureau: Bureau) -> None:
    scope = "openid account:read account:write"
    page = bureau.ask_code(NUMBER, page=bureau.authorize(scope=scope))
    code = returned(bureau.give_code(page, bureau.code_sent()))["code"]
    here = given(bureau.redeem(code))
    bureau.clock.pass_wall(seconds=61)
    there = bureau.sign_in(NUMBER)
    bureau.clock.pass_wall(seconds=61)
    waiting = bureau.code_for_app(NUMBER)
    other = bureau.sign_in("13800000002")
    refused(bureau.post("/v1/account/sign-out", token=there["access_token"]), 403, "forbidden")
    made(bureau.post("/v1/account/sign-out", token=here["access_token"]))
    for held in (here, there):
        denied(bureau.refresh(held["refresh_token"]), "invalid_grant")
    denied(bureau.redeem(waiting), "invalid_grant")
    given(bureau.refresh(other["refresh_token"]))
    bureau.clock.pass_wall(seconds=61)
    given(bureau.refresh(bureau.sign_in(NUMBER)["refresh_token"]))


def test_what_is_no_token_is_taken_back_already(bureau: Bureau) -> None:
    for token in ("x", "a.b.c", "é", "grant_x.0.y", "x" * 5000):
        assert revoke(bureau, token).status_code == 200


def test_nobody_takes_back_anothers_token(bureau: Bureau) -> None:
    tokens = bureau.sign_in(NUMBER)
    secret = firm_secret(bureau)
    basic = base64.b64encode(f"{FIRM}:{secret}".encode()).decode()
    answer = bureau.form(
        "/revoke", {"token": tokens["refresh_token"]}, Authorization=f"Basic {basic}"
    )
    denied(answer, "invalid_grant")
    assert bureau.form("/revoke", {"token": tokens["refresh_token"]}).status_code == 401
    own = given(bureau.by_secret(FIRM, secret))["access_token"]
    answer = bureau.form("/revoke", {"token": own}, Authorization=f"Basic {basic}")
    assert json_of(answer)["error"] == "unsupported_token_type"
    given(bureau.refresh(tokens["refresh_token"]))


# What every library looks for


def test_discovery_is_what_the_standard_says(bureau: Bureau) -> None:
    answer = bureau.client.get("/identity/.well-known/openid-configuration")
    document = json_of(answer)
    assert "max-age" in answer.headers["Cache-Control"]
    # As OAuth's, not OpenID Connect's: that insists on RS256 beside what is used (0070).
    AuthorizationServerMetadata(document).validate()
    assert document["issuer"] == ISSUER
    assert document["code_challenge_methods_supported"] == ["S256"]
    routes = {rule.rule for rule in bureau.app.url_map.iter_rules()}
    for name in ("authorization", "token", "revocation"):
        path = document[f"{name}_endpoint"].removeprefix(ISSUER)
        assert f"/identity{path}" in routes
    assert f"/identity{document['jwks_uri'].removeprefix(ISSUER)}" in routes


def test_what_is_published_comes_compressed_to_whoever_takes_that(bureau: Bureau) -> None:
    address, takes = "/identity/.well-known/openid-configuration", {"Accept-Encoding": "gzip"}
    plain, small = bureau.client.get(address), bureau.client.get(address, headers=takes)
    assert (small.headers["Content-Encoding"], "Content-Encoding" in plain.headers) == (
        "gzip",
        False,
    )
    assert gzip.decompress(small.data) == plain.data
    assert small.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
    keys = bureau.client.get("/identity/.well-known/jwks.json", headers=takes)
    assert "Content-Encoding" not in keys.headers, "too small to gain by it"


def test_a_form_that_is_none_is_an_invalid_request(bureau: Bureau) -> None:
    def post(data: bytes, media: str = "application/x-www-form-urlencoded") -> TestResponse:
        return bureau.client.post("/identity/token", data=data, content_type=media, base_url=HTTPS)

    denied(post(b"{}", "application/json"), "invalid_request")
    denied(post(b"grant_type=refresh_token&grant_type=refresh_token"), "invalid_request")
    denied(post(b"grant_type=%ff"), "invalid_request")
    denied(post(b"x=" + b"y" * 20_000), "invalid_request")
    denied(post(b"&".join(b"x%d=1" % place for place in range(30))), "invalid_request")
    denied(post(b""), "invalid_request")
    refused(bureau.client.get("/identity/token"), 405, "method-not-allowed")


def test_a_store_that_lost_its_reply_gave_one_successor(bureau: Bureau) -> None:
    old = bureau.sign_in(NUMBER)["refresh_token"]
    bureau.store.inject("create", lose_reply)
    new = given(bureau.refresh(old))["refresh_token"]
    assert given(bureau.refresh(old))["refresh_token"] == new
    given(bureau.refresh(new))


def test_a_store_that_is_away_is_told_as_such_and_costs_no_token(bureau: Bureau) -> None:
    old = bureau.sign_in(NUMBER)["refresh_token"]
    bureau.clock.hurry()
    bureau.store.inject("create", drop, times=100)
    answer = bureau.refresh(old)
    denied(answer, "temporarily_unavailable", 503)
    assert answer.headers["Retry-After"]
    bureau.clock.rest()
    bureau.store._faults.clear()
    given(bureau.refresh(old))
