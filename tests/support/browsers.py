"""What is asked of identity beside its declared routes, by browsers and by OAuth's rules: a good
request for each, and the table of what becomes of it (tests/http/beside.csv).

A row is an address. `answer` says what a good request gets, `cookie` whether one is set with it,
`kept` whether anybody may keep it. Then a status for each who sends it: with no token, or a bearer
token that is worth something elsewhere; from another browser, or one that keeps no cookies.
"""

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlencode

from werkzeug.test import Client, TestResponse

from tests.support.bureau import (
    APP,
    CHALLENGE,
    FORM,
    HTTPS,
    REDIRECT,
    VERIFIER,
    Bureau,
    hidden,
)
from tests.support.people import as_, plant
from tests.support.served import made

TABLE = Path(__file__).parents[1] / "http" / "beside.csv"

Values = dict[str, str]


def rows() -> list[dict[str, str]]:
    """The table as it is checked in, without the spaces that line it up."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        lines = csv.reader(file)
        header = [name.strip() for name in next(lines)]
        return [dict(zip(header, (cell.strip() for cell in line), strict=True)) for line in lines]


# Good requests: what stands in the query or the form


def new_number(bureau: Bureau) -> str:
    """A mobile number that nobody has typed yet."""
    return f"139{int(bureau.new_key().removeprefix('key-')):08d}"


def _authorize(_: Bureau) -> Values:
    return {
        "response_type": "code",
        "client_id": APP,
        "redirect_uri": REDIRECT,
        "scope": "openid account:read",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }


def _send_code(bureau: Bureau) -> Values:
    return {"page": hidden(bureau.authorize()), "phone": new_number(bureau)}


def _sign_in(bureau: Bureau) -> Values:
    page = hidden(bureau.ask_code(new_number(bureau)))
    return {"page": page, "code": bureau.code_sent()}


def _staff(bureau: Bureau) -> Values:
    return {"page": hidden(bureau.authorize())}


def _nothing(_: Bureau) -> Values:
    return {}


def _enrol(bureau: Bureau) -> Values:
    operator = plant(bureau, 1, "operator")
    name = {"name": f"li.{bureau.new_key()}"}
    invited = made(bureau.post("/v1/staff", name, token=as_(bureau, operator, "operator")))
    return {"invitation": invited["invitation"]}


def _token(bureau: Bureau) -> Values:
    return {
        "grant_type": "authorization_code",
        "client_id": APP,
        "redirect_uri": REDIRECT,
        "code": bureau.code_for_app(new_number(bureau)),
        "code_verifier": VERIFIER,
    }


def _revoke(bureau: Bureau) -> Values:
    return {"client_id": APP, "token": bureau.sign_in(new_number(bureau))["refresh_token"]}


GOOD: Mapping[str, Callable[[Bureau], Values]] = {
    "POST /identity/token": _token,
    "POST /identity/revoke": _revoke,
    "GET /identity/.well-known/openid-configuration": _nothing,
    "GET /identity/.well-known/jwks.json": _nothing,
    "GET /identity/authorize": _authorize,
    "POST /identity/sign-in/code": _send_code,
    "POST /identity/sign-in": _sign_in,
    "POST /identity/sign-in/staff": _staff,
    "GET /identity/enrolment": _nothing,
    "POST /identity/enrolment": _enrol,
}


# Who sends them


def _expired(bureau: Bureau) -> str:
    past = bureau.clock.now_ms() // 1000 - 3600
    return bureau.issuer.token("citizen-1", exp=past, nbf=past - 60)


TOKENS: Mapping[str, Callable[[Bureau], str | None]] = {
    "no token": lambda _: None,
    "expired": _expired,
    "citizen": lambda bureau: bureau.token("citizen-1"),
    "operator": lambda bureau: bureau.token("operator-1"),
    "agent": lambda bureau: bureau.acting("citizen-1"),
}


def _another_browser(bureau: Bureau) -> Client:
    browser = Client(bureau.app)
    bureau.authorize(browser)
    return browser


BROWSERS: Mapping[str, Callable[[Bureau], Client]] = {
    "another browser": _another_browser,
    "no cookie": lambda bureau: Client(bureau.app),
}

COLUMNS = ("service", "route", "answer", "cookie", "kept", *TOKENS, *BROWSERS)


def send(
    bureau: Bureau,
    route: str,
    values: Values,
    *,
    token: str | None = None,
    browser: Client | None = None,
    **headers: str,
) -> TestResponse:
    """A request to a route, with these values in its query or form."""
    method, _, path = route.partition(" ")
    sent = {**headers} if token is None else {**headers, "Authorization": f"Bearer {token}"}
    client = browser or bureau.client
    if method == "GET":
        return client.get(f"{path}?{urlencode(values)}", headers=sent, base_url=HTTPS)
    return client.post(
        path, data=urlencode(values), content_type=FORM, headers=sent, base_url=HTTPS
    )
