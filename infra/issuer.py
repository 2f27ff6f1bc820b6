"""The development issuer: access tokens for sample accounts, with no questions asked.

    POST /identity/dev/token {"account": "citizen-0001"}   a token for a sample account
    GET  /identity/dev                                     the accounts, and a button for each
    GET  /identity/.well-known/jwks.json                   the public key

It stands in for the province's real identity provider on a developer's machine, and so it refuses
to be made anywhere else. Its key is kept beside its JWKS document, so that tokens outlive a
restart and services can read the document as a file.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path

import orjson
from flask import Flask, Response, request
from joserfc import jwt
from joserfc.jwk import ECKey
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from infra.services import SERVICES
from shared.clock import Clock
from shared.errors import (
    INTERNAL,
    INVALID,
    MALFORMED,
    METHOD,
    NOT_FOUND,
    FieldError,
    Problem,
    Refused,
)
from shared.language import accepted
from shared.settings import IssuerSettings
from shared.web import problems, requests

_PREFIX = "/identity"

_CITIZEN = (
    "orders:read orders:write tickets:read tickets:write appointments:read appointments:write"
)
_MERCHANT = "stores:read stores:write"
_SCENIC_STAFF = "sessions:read sessions:write tickets:check"
_CLINICIAN = "schedules:read appointments:check"
_HOSPITAL_STAFF = f"{_CLINICIAN} schedules:write"
_STATUS_PROBLEMS = {400: MALFORMED, 404: NOT_FOUND, 405: METHOD}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of sample account: which names it has, and what its tokens say."""

    pattern: re.Pattern[str]
    shown: tuple[str, ...]
    scope: str
    roles: tuple[str, ...]


KINDS = (
    Kind(
        re.compile(r"citizen-[0-9]{1,6}"),
        tuple(f"citizen-{number:04d}" for number in range(1, 6)),
        _CITIZEN,
        ("citizen",),
    ),
    Kind(
        re.compile(r"merchant-[a-z0-9]{1,20}"),
        ("merchant-gansu", "merchant-longnan"),
        f"{_CITIZEN} {_MERCHANT}",
        ("citizen", "merchant"),
    ),
    Kind(
        re.compile(r"scenic-[a-z0-9]{1,20}"),
        ("scenic-mogao", "scenic-danxia"),
        _SCENIC_STAFF,
        ("scenic_staff",),
    ),
    Kind(re.compile(r"gate-[a-z0-9]{1,20}"), ("gate-mogao",), "tickets:check", ("gate",)),
    Kind(
        re.compile(r"hospital-[a-z0-9-]{1,30}"),
        ("hospital-lzu-first", "hospital-dunhuang-city"),
        _HOSPITAL_STAFF,
        ("hospital_staff",),
    ),
    Kind(
        re.compile(r"clinician-[a-z0-9-]{1,30}"),
        ("clinician-lzu-first",),
        _CLINICIAN,
        ("clinician",),
    ),
    Kind(
        re.compile(r"operator-[0-9]{1,3}"),
        ("operator-1",),
        f"orders:read orders:write {_MERCHANT} {_SCENIC_STAFF} {_HOSPITAL_STAFF}",
        ("operator",),
    ),
)


class Issuer:
    """Signs tokens with a key of its own."""

    def __init__(self, settings: IssuerSettings, clock: Clock, key: ECKey) -> None:
        self.settings = settings
        self._clock = clock
        self._key = key

    def token(self, account: str) -> str:
        """A token for a sample account. Raises Refused(INVALID) for any other name."""
        kind = next((kind for kind in KINDS if kind.pattern.fullmatch(account)), None)
        if kind is None:
            raise Refused(INVALID, fields=(_NO_ACCOUNT,))
        now = self._clock.now_ms() // 1000
        claims = {
            "iss": self.settings.issuer,
            "sub": account,
            "aud": list(SERVICES),
            "iat": now,
            "nbf": now,
            "exp": now + self.settings.token_seconds,
            "jti": self._clock.random(12).hex(),
            "client_id": "development",
            "scope": kind.scope,
            "roles": list(kind.roles),
        }
        header = {"alg": "ES256", "typ": "at+jwt", "kid": str(self._key.kid)}
        return jwt.encode(header, claims, self._key, ["ES256"])


_NO_ACCOUNT = FieldError(
    "account",
    "不是示例账号，例如 citizen-0001、merchant-gansu、operator-1",
    "is no sample account, such as citizen-0001, merchant-gansu, operator-1",
)


def open_key(directory: Path, clock: Clock) -> ECKey:
    """The signing key in `directory`, made on the first start; its public half as `jwks.json`."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / "signing-key.json"
    if not path.exists():
        made = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256", "kid": _kid(clock)})
        _write(path, orjson.dumps(made.as_dict(private=True)))
    key = ECKey.import_key(orjson.loads(path.read_bytes()))
    _write(directory / "jwks.json", jwks(key))
    return key


def jwks(key: ECKey) -> bytes:
    """The key's public half as a JWKS document."""
    return orjson.dumps({"keys": [key.as_dict(private=False)]})


def _kid(clock: Clock) -> str:
    return f"development-{clock.random(6).hex()}"


def _write(path: Path, content: bytes) -> None:
    # Whole or not at all: services read the document while it is written.
    draft = path.with_name(f"{path.name}.draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    draft.rename(path)


def create_app(settings: IssuerSettings, clock: Clock) -> Flask:
    """The issuer over HTTP. Raises RuntimeError outside development."""
    if settings.environment != "development":
        raise RuntimeError("the development issuer starts only with GANSU_ENV=development")
    key = open_key(settings.directory, clock)
    issuer = Issuer(settings, clock, key)
    app = Flask(__name__, static_folder=None)
    app.register_error_handler(Refused, _refusal(clock))
    app.register_error_handler(HTTPException, _refusal(clock))
    _add_routes(app, issuer, jwks(key))
    return app


def _add_routes(app: Flask, issuer: Issuer, document: bytes) -> None:
    @app.get(f"{_PREFIX}/.well-known/jwks.json")
    def published_keys() -> Response:
        return _json(document, cache="public, max-age=60")

    @app.post(f"{_PREFIX}/dev/token")
    def token() -> Response:
        answer = {
            "access_token": issuer.token(_account()),
            "token_type": "Bearer",
            "expires_in": issuer.settings.token_seconds,
        }
        return _json(orjson.dumps(answer))

    @app.get(f"{_PREFIX}/dev")
    def accounts() -> Response:
        page = Response(_page(), content_type="text/html; charset=utf-8")
        page.headers["Content-Security-Policy"] = (
            "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        return page

    @app.get(f"{_PREFIX}/health/live")
    @app.get(f"{_PREFIX}/health/ready")
    def health() -> Response:
        return _json(b'{"status":"ready"}')


def _account() -> str:
    """The account that a JSON body or a form names. Raises Refused."""
    if request.mimetype == "application/x-www-form-urlencoded":
        named: object = request.form.get("account")
    else:
        body = requests.json_value(requests.body(request.environ, bytes_max=4096))
        named = body.get("account") if isinstance(body, dict) else None
    if not isinstance(named, str):
        raise Refused(INVALID, fields=(_NO_ACCOUNT,))
    return named


def _json(body: bytes, cache: str = "no-store") -> Response:
    return Response(body, content_type="application/json", headers={"Cache-Control": cache})


def _refusal(clock: Clock) -> Callable[[Exception], Response]:
    def rendered(error: Exception) -> Response:
        refusal = error if isinstance(error, Refused) else Refused(_problem_of(error))
        language = accepted(request.headers.get("Accept-Language"))
        request_id = requests.request_id(request.environ) or clock.random(16).hex()
        answer = problems.rendered(refusal, language, request_id, *_allowed(error))
        return Response(answer.body, answer.status, answer.headers)

    return rendered


def _allowed(error: Exception) -> list[tuple[str, str]]:
    if isinstance(error, MethodNotAllowed):
        return [("Allow", ", ".join(sorted(error.valid_methods or ())))]
    return []


def _problem_of(error: Exception) -> Problem:
    code = error.code if isinstance(error, HTTPException) else None
    return _STATUS_PROBLEMS.get(code or 500, INTERNAL)


def _page() -> str:
    """All sample accounts, each with a button that answers its token."""
    rows = "".join(
        f"<tr><td><code>{escape(account)}</code><td>{escape(', '.join(kind.roles))}"
        f"<td><code>{escape(kind.scope)}</code><td>"
        f"<form method=post action={_PREFIX}/dev/token>"
        f"<input type=hidden name=account value={escape(account)}>"
        "<button>令牌 Token</button></form>"
        for kind in KINDS
        for account in kind.shown
    )
    return (
        "<!doctype html><html lang=zh><meta charset=utf-8>"
        "<title>示例账号 Sample accounts</title>"
        "<h1>示例账号 Sample accounts</h1>"
        "<p>仅供开发。 For development only."
        f"<table><tr><th>账号 Account<th>角色 Roles<th>权限 Scopes<th>{rows}</table>"
    )
