"""What identity answers beside its declared routes: OAuth's endpoints, and the pages for people.

What is expected stands in beside.csv, one row an address. No bearer token opens or shuts any of
them: apps prove themselves by code or secret, people by codes and a cookie of their own browser.
"""

import re
from collections import Counter

import pytest
from werkzeug.test import TestResponse

from shared.web.responses import NO_CONTENT_AT_ALL
from tests.support.browsers import BROWSERS, COLUMNS, GOOD, TOKENS, new_number, rows, send
from tests.support.bureau import (
    Bureau,
    claims_of,
    denied,
    hidden,
    returned,
)
from tests.support.houses import HOUSES, House, Open
from tests.support.served import json_of

ROWS = {row["route"]: row for row in rows()}
ADDRESSES = sorted({route.partition(" ")[2] for route in ROWS})
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

KEPT = {"no": "no-store", "minute": "public, max-age=60, stale-if-error=86400"}
TYPES = {"page": "text/html; charset=utf-8", "json": "application/json", "redirect": None}
COOKIE = r"__Host-gansu_sign_in=[0-9a-f]{32}; Path=/; HttpOnly; SameSite=Lax; Secure"
PAGES_POLICY = (
    r"default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='; form-action 'self'( cn\.gansu\."
    r"app:)?; base-uri 'none'; frame-ancestors 'none'"
)

each_route = pytest.mark.parametrize("route", ROWS)


# The table


@pytest.mark.parametrize("house", HOUSES, ids=lambda house: house.name)
def test_every_address_beside_the_routes_has_a_row(opened: Open, house: House) -> None:
    names = [name for name in opened(house).app.handlers if name.partition(" ")[2] in house.beside]
    assert [row["route"] for row in rows() if row["service"] == house.name] == names


def test_every_row_has_a_good_request() -> None:
    assert list(ROWS) == list(GOOD)
    assert len(ROWS) == len(rows())
    assert tuple(rows()[0]) == COLUMNS


# Who sends it


@each_route
@pytest.mark.parametrize("column", TOKENS)
def test_a_token_is_answered_as_the_table_says(bureau: Bureau, route: str, column: str) -> None:
    row, values = ROWS[route], GOOD[route](bureau)
    answer = send(bureau, route, values, token=TOKENS[column](bureau))
    assert str(answer.status_code) == row[column], answer.text
    if row[column].startswith("4"):
        denied(answer, "invalid_client", 401)
    else:
        assert_as_the_row(answer, row)


@each_route
@pytest.mark.parametrize("column", BROWSERS)
def test_a_browser_is_answered_as_the_table_says(bureau: Bureau, route: str, column: str) -> None:
    row, values = ROWS[route], GOOD[route](bureau)
    answer = send(bureau, route, values, browser=BROWSERS[column](bureau))
    assert str(answer.status_code) == row[column], answer.text
    if row[column].startswith("4"):
        assert_page(answer)
        assert "Set-Cookie" not in answer.headers
        again = send(bureau, route, values)
        assert str(again.status_code) == row["no token"], "and its own browser goes on"
    else:
        assert_as_the_row(answer, row)


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_other_method_is_answered(bureau: Bureau, address: str) -> None:
    there = {route.partition(" ")[0] for route in ROWS if route.partition(" ")[2] == address}
    allowed = {*there, *({"HEAD"} if "GET" in there else ())}
    for method in METHODS:
        if method not in there:
            answer = bureau.client.open(address, method=method)
            assert answer.status_code == 405
            assert set(answer.headers["Allow"].split(", ")) == allowed
            assert "Set-Cookie" not in answer.headers


# What a token must not do


@pytest.mark.parametrize("column", [name for name in TOKENS if name != "no token"])
def test_who_signs_in_is_who_has_the_code_whatever_token_is_sent(
    bureau: Bureau, column: str
) -> None:
    number, token = new_number(bureau), TOKENS[column](bureau)
    plain = claims_of(bureau.sign_in(number)["access_token"])
    bureau.clock.pass_wall(seconds=60)
    page = send(
        bureau,
        "POST /identity/sign-in/code",
        {"page": hidden(bureau.authorize()), "phone": number},
        token=token,
    )
    given = {"page": hidden(page), "code": bureau.code_sent()}
    led = send(bureau, "POST /identity/sign-in", given, token=token)
    claims = claims_of(json_of(bureau.redeem(returned(led)["code"]))["access_token"])
    assert (claims["sub"], claims["roles"]) == (plain["sub"], plain["roles"])
    assert "act" not in claims


@pytest.mark.parametrize("route", ["POST /identity/token", "POST /identity/revoke"])
def test_a_refused_bearer_token_costs_nothing(bureau: Bureau, route: str) -> None:
    """The code, or the refresh token, is as good as before."""
    values = GOOD[route](bureau)
    before = bureau.database.read(lambda view: view.seq).value
    denied(send(bureau, route, values, token=bureau.token("operator-1")), "invalid_client", 401)
    assert bureau.database.read(lambda view: view.seq).value == before
    assert send(bureau, route, values).status_code == 200


# How it looks


@each_route
def test_headers_stand_on_what_is_refused_too(bureau: Bureau, route: str) -> None:
    """A form of another type, or a query that is none."""
    method, _, path = route.partition(" ")
    answer = bureau.client.open(
        f"{path}?client_id=%ff", method=method, data="{}", content_type="application/json"
    )
    assert_said_once(answer)
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert "Set-Cookie" not in answer.headers
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


def assert_as_the_row(answer: TestResponse, row: dict[str, str]) -> None:
    assert answer.headers.get("Content-Type") == TYPES[row["answer"]]
    assert answer.headers["Cache-Control"] == KEPT[row["kept"]]
    cookies = answer.headers.getlist("Set-Cookie")
    assert len(cookies) == (1 if row["cookie"] == "new" else 0)
    assert all(re.fullmatch(COOKIE, cookie) for cookie in cookies)
    if row["answer"] == "page":
        assert_page(answer)
    else:
        assert_said_once(answer)
        assert answer.headers["Content-Security-Policy"] == NO_CONTENT_AT_ALL


def assert_page(answer: TestResponse) -> None:
    """A page for people, whose one policy lets its form be sent: to us, and on to the app."""
    assert_said_once(answer)
    assert re.fullmatch(PAGES_POLICY, answer.headers["Content-Security-Policy"])
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Cookie" in answer.headers["Vary"]


def assert_said_once(answer: TestResponse) -> None:
    """Of two policies a browser keeps both: a second one, for what is no page, would hold forms."""
    counted = Counter(name.lower() for name, _ in answer.headers)
    assert [name for name, times in counted.items() if times > 1] == []
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert counted["content-security-policy"] == 1
