"""What apps ask by OAuth's own rules: tokens, revocation, what there is here, the keys.

Beside the declared routes: OAuth says how these are asked (forms, no Idempotency-Key) and refused
(`{"error": …}`), and every library of it expects just that.
"""

import re
from collections.abc import Callable, Mapping

import orjson

from services.identity.actions import delegations, exchange, tokens
from services.identity.actions.names import Registry
from services.identity.actions.oauth import Issuing, Reply
from services.identity.domain import scopes
from services.identity.routes import forms
from services.identity.routes.parts import PREFIX, Identity
from shared.errors import BUSY, Refused
from shared.language import TAGS, Language
from shared.storage.access import Database
from shared.web.requests import Environ
from shared.web.responses import PACKED_BYTES_MIN, Headers, Rendered, packed, takes_packed
from shared.web.service import Answers

_BASIC = re.compile(r"[Bb]asic +[A-Za-z0-9+/]{1,400}={0,2}")
_CACHED = "public, max-age=60, stale-if-error=86400"

Give = Callable[[Database, Issuing, Mapping[str, str], str | None], Reply]


class TokenEndpoint:
    """A form in, JSON out: /token and /revoke."""

    def __init__(self, parts: Identity, give: Give) -> None:
        self._parts = parts
        self._give = give

    def answer(self, environ: Environ, path: dict[str, str], language: Language) -> Rendered:  # noqa: ARG002
        return _json(self._reply(environ))

    def _reply(self, environ: Environ) -> Reply:
        authorization = environ.get("HTTP_AUTHORIZATION")
        if authorization is not None and not _BASIC.fullmatch(authorization):
            return tokens.refusal("invalid_client", 401)
        try:
            values = forms.form(environ)
        except Refused:
            return tokens.refusal("invalid_request")
        parts = self._parts
        try:
            return self._give(parts.database, parts.issuing, values, authorization)
        except Refused as refused:
            if refused.problem is not BUSY:
                raise
            return tokens.refusal("temporarily_unavailable", 503)
        # A secret in bytes that are no text, and the like: the library reads them bravely.
        except UnicodeError:
            return tokens.refusal("invalid_request")


def _giving(registry: Registry) -> Give:
    """Gives tokens by any grant: what is asked for a child needs to know when it was born."""

    def give(
        database: Database, own: Issuing, values: Mapping[str, str], authorization: str | None
    ) -> Reply:
        if values.get("grant_type") != exchange.GRANT_TYPE:
            return tokens.give(database, own, values, authorization)
        named, actor_token = (values.get(name, "") for name in ("subject_token", "actor_token"))
        born = delegations.born_of(database, registry, own.keys, named, actor_token)
        return exchange.exchange(database, own, values, born)

    return give


def _json(reply: Reply) -> Rendered:
    body = orjson.dumps(reply.body)
    headers: Headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
    ]
    if reply.status == 401:
        headers.append(("WWW-Authenticate", reply.challenge or 'Basic realm="identity"'))
    if reply.status == 503:
        headers.append(("Retry-After", "2"))
    return Rendered(reply.status, headers, body)


class Published:
    """A document for everyone, made anew each time and kept for a minute by whoever asked."""

    def __init__(self, make: Callable[[], object]) -> None:
        self._make = make

    def answer(self, environ: Environ, path: dict[str, str], language: Language) -> Rendered:  # noqa: ARG002
        body = orjson.dumps(self._make())
        headers: Headers = [
            ("Content-Type", "application/json"),
            ("Content-Language", TAGS[language]),
            ("Cache-Control", _CACHED),
            ("Vary", "Accept-Encoding"),
        ]
        if len(body) >= PACKED_BYTES_MIN and takes_packed(environ):
            body = packed(body)
            headers.append(("Content-Encoding", "gzip"))
        return Rendered(200, [*headers, ("Content-Length", str(len(body)))], body)


def endpoints(parts: Identity) -> list[tuple[str, str, Answers]]:
    """Method, path and who answers."""
    return [
        ("POST", f"{PREFIX}/token", TokenEndpoint(parts, _giving(parts.registry))),
        ("POST", f"{PREFIX}/revoke", TokenEndpoint(parts, tokens.take_back)),
        (
            "GET",
            f"{PREFIX}/.well-known/openid-configuration",
            Published(lambda: discovery(parts.issuing.issuer)),
        ),
        (
            "GET",
            f"{PREFIX}/.well-known/jwks.json",
            Published(lambda: {"keys": parts.issuing.keys.published(parts.database)}),
        ),
    ]


def discovery(issuer: str) -> dict[str, object]:
    """OpenID Connect Discovery, section 3, and RFC 8414."""
    methods = ["client_secret_basic", "client_secret_post"]
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "revocation_endpoint": f"{issuer}/revoke",
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "scopes_supported": list(scopes.SCOPES),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": [
            "authorization_code",
            "refresh_token",
            "client_credentials",
            exchange.GRANT_TYPE,
        ],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported": ["none", *methods],
        "revocation_endpoint_auth_methods_supported": ["none", *methods],
        "code_challenge_methods_supported": ["S256"],
        "claims_supported": ["iss", "sub", "aud", "iat", "exp", "auth_time", "nonce"],
        "ui_locales_supported": ["zh-CN", "en"],
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "authorization_response_iss_parameter_supported": True,
    }
