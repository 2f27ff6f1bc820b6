"""Authorization requests: checked before anybody is asked to sign in, granted after that."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from authlib.common.urls import add_params_to_uri
from authlib.oauth2 import OAuth2Error

from services.identity.actions.oauth import Client, CodeGrant, Issuing, Reply, Request, Server
from shared.language import Words
from shared.storage.access import Database, Document, Transaction, recent

_KNOWN = frozenset(
    {
        "response_type",
        "client_id",
        "redirect_uri",
        "scope",
        "state",
        "nonce",
        "code_challenge",
        "code_challenge_method",
        "response_mode",
        "prompt",
    }
)
"""Parameters that mean something here. Any other is passed over (RFC 6749, section 3.1)."""

VALUE_CHARACTERS_MAX = 1000

_LOOKED_AT = recent(1.0, outage_seconds=3600)
"""Nothing is granted on it, and while the store is away there are pages that say so."""

_NOT_SUPPORTED = {"request": "request_not_supported", "request_uri": "request_uri_not_supported"}


class AuthorizationRefused(Exception):  # noqa: N818 - an answer
    """The request cannot be granted. `location` leads back to the app where that is safe."""

    def __init__(self, error: str, location: str | None) -> None:
        super().__init__(error)
        self.error = error
        self.location = location


@dataclass(frozen=True, slots=True)
class Checked:
    """An authorization request that may be granted to whoever signs in."""

    values: Mapping[str, str]
    app: Words
    redirect: str


def check(database: Database, own: Issuing, values: Mapping[str, str]) -> Checked:
    """Look at a request before anybody is asked anything. Raises AuthorizationRefused."""
    for name, error in _NOT_SUPPORTED.items():
        if name in values:
            raise AuthorizationRefused(error, None)
    known = {name: value for name, value in values.items() if name in _KNOWN and value}
    if any(len(value) > VALUE_CHARACTERS_MAX for value in known.values()):
        raise AuthorizationRefused("invalid_request", None)

    def look(tx: Transaction) -> Checked:
        grant = _validated(Server(tx, own), Request("GET", known))
        client = cast(Client, grant.request.client)
        app = Words(client.body["name_zh"], client.body["name_en"])
        return Checked(known, app, known["redirect_uri"])

    # Nothing is written: a view is all that is used of a transaction.
    return database.read(look, _LOOKED_AT).value  # type: ignore[arg-type]


def grant(
    tx: Transaction, own: Issuing, values: Mapping[str, str], account: Document
) -> tuple[str, str]:
    """Grant a request to an account: the grant's key, and where its code is taken to. Raises
    AuthorizationRefused where the client has gone meanwhile.
    """
    server, request = Server(tx, own), Request("POST", values)
    validated = _validated(server, request)
    reply = cast(Reply, server.create_authorization_response(request, account, validated))
    if server.grant is None or reply.location is None:
        raise AuthorizationRefused(str(reply.body.get("error", "server_error")), reply.location)
    return server.grant.key, from_us(reply.location, own.issuer)


def again(own: Issuing, key: str, values: Mapping[str, str]) -> str:
    """Where a grant's code is taken to, as it was said before."""
    said = {"code": own.secrets.authorization_code(key)}
    if "state" in values:
        said["state"] = values["state"]
    return from_us(add_params_to_uri(values["redirect_uri"], list(said.items())), own.issuer)


def from_us(location: str, issuer: str) -> str:
    """An answer to an app, with whose answer it is (RFC 9207)."""
    return str(add_params_to_uri(location, [("iss", issuer)]))


def _validated(server: Server, request: Request) -> CodeGrant:
    values = request.values
    if values.get("response_type") != "code":
        raise AuthorizationRefused("unsupported_response_type", _back(server, request, None))
    client = server.query_client(values.get("client_id", ""))
    if client is not None and not client.check_response_type("code"):
        # Whoever has no users is none here: which firms there are is not for everybody.
        raise AuthorizationRefused("invalid_client", None)
    try:
        grant: CodeGrant = cast(Any, server).get_consent_grant(request)
    except OAuth2Error as error:
        name = str(error.error)
        safe = error.redirect_uri is not None
        raise AuthorizationRefused(name, _back(server, request, name) if safe else None) from error
    if "none" in values.get("prompt", "").split():
        name = "login_required"
        raise AuthorizationRefused(name, _back(server, request, name))
    if values.get("response_mode", "query") != "query":
        name = "invalid_request"
        raise AuthorizationRefused(name, _back(server, request, name))
    return grant


def _back(server: Server, request: Request, error: str | None) -> str | None:
    """Where a refusal is taken to: to an address of the client, or nowhere."""
    values = request.values
    client = server.query_client(values.get("client_id", ""))
    address = values.get("redirect_uri", "")
    if client is None or not client.check_redirect_uri(address):
        return None
    said = [("error", error or "unsupported_response_type")]
    if "state" in values:
        said.append(("state", values["state"]))
    return from_us(add_params_to_uri(address, said), server.own.issuer)
