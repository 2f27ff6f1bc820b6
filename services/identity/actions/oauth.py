"""The OAuth 2 server of one transaction: Authlib's rules on identity's documents.

    def change(tx: Transaction) -> Reply:
        return Server(tx, own).create_token_response(Request("POST", values, authorization))

Authlib says what RFC 6749, 7636 and 7009 ask of a request and in which order; here stands what it
asks back: who a client is, what a code is good for, what a token says. A server is made for each
run of a change and keeps nothing, so that a change may run again. What a refused request writes
(a grant that ends because a token was used twice) is kept with its refusal.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from authlib.oauth2 import OAuth2Request
from authlib.oauth2.rfc6749 import (
    AuthorizationCodeMixin,
    AuthorizationServer,
    ClientMixin,
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    TokenMixin,
    UnsupportedTokenTypeError,
)
from authlib.oauth2.rfc6749.grants import (
    AuthorizationCodeGrant,
    ClientCredentialsGrant,
    RefreshTokenGrant,
)
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge

from services.identity.actions.keys import Keys
from services.identity.domain import accounts, clients, grants, scopes
from services.identity.domain.secrets import Refresh, Secrets, same
from shared.storage.access import Document, Transaction
from shared.storage.catalogue import Body

GRANT_TYPES = {"app": ("authorization_code", "refresh_token")}
OWN_GRANT_TYPES = ("client_credentials",)
ID_TOKEN_SECONDS = 600

_CLIENT_ID = re.compile(r"[a-z][a-z0-9-]{2,62}")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_GRANT_OF_TOKEN = re.compile(r"(grant_[0-9a-f]{32})\.[0-9a-f]{32}")

# Authlib refuses a request that did not come over TLS by its address. Ours ends at the gateway,
# which is who knows; what is asked for is said by the values alone.
_ADDRESS = "https://identity.invalid/"


@dataclass(frozen=True, slots=True)
class Issuing:
    """What tokens are made with. `staff_by_number` lets staff sign in as citizens do, by a mobile
    number alone, which is for development.
    """

    secrets: Secrets
    keys: Keys
    issuer: str
    token_seconds: int
    staff_by_number: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """What a client is answered: a status, JSON, and the few headers that mean something."""

    status: int
    body: Mapping[str, object]
    location: str | None
    challenge: str | None


class Request(OAuth2Request):
    """Values as they were sent, each once; `authorization` is the header of that name."""

    def __init__(
        self, method: str, values: Mapping[str, str], authorization: str | None = None
    ) -> None:
        headers = {} if authorization is None else {"Authorization": authorization}
        super().__init__(method, _ADDRESS, headers=headers)
        self.values = dict(values)
        self.payload = BasicOAuth2Payload(self.values)

    @property
    def args(self) -> dict[str, str | None]:
        return dict(self.values)

    @property
    def form(self) -> dict[str, str]:
        return self.values


class Client(ClientMixin):
    """A registered client."""

    def __init__(self, document: Document, server: "Server") -> None:
        self.id = document.key
        self.body = document.body
        self._server = server

    def get_client_id(self) -> str:
        return self.id

    def get_default_redirect_uri(self) -> str:
        # An address has to be named, whichever it is: nothing is guessed.
        return ""

    def get_allowed_scope(self, scope: Any) -> str:
        return " ".join(self.within(scopes.named(scope) if scope else self.body["scopes"]))

    def within(self, asked: Iterable[str]) -> list[str]:
        """Of the scopes that are asked for, those that the client may have now."""
        return [name for name in asked if name in self.body["scopes"]]

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri in self.body["redirects"]

    def check_client_secret(self, client_secret: str) -> bool:
        numbers = clients.secret_numbers(self.body, self._server.tx.now_ms)
        secrets = self._server.own.secrets
        made = [secrets.client_secret(self.id, number) for number in numbers]
        return any(same(client_secret, secret) for secret in made)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:  # noqa: ARG002
        return bool((method == "none") == (self.body["kind"] == "app"))

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code" and self.body["kind"] == "app"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in GRANT_TYPES.get(self.body["kind"], OWN_GRANT_TYPES)


class Code(AuthorizationCodeMixin):
    """A grant, seen as the code that it began with."""

    code_challenge_method = "S256"

    def __init__(self, document: Document) -> None:
        self.document = document
        self.code_challenge = document.body["challenge"]

    def get_redirect_uri(self) -> str:
        return str(self.document.body["redirect"])

    def get_scope(self) -> str:
        return str(self.document.body["scope"])


class Held(TokenMixin):
    """A grant, seen as one of its tokens; `number` is a refresh token's."""

    def __init__(self, document: Document, number: int | None = None) -> None:
        self.document = document
        self.number = number

    def check_client(self, client: Client) -> bool:
        return bool(self.document.body["client"] == client.id)

    def get_scope(self) -> str:
        return str(self.document.body["scope"])


class Pkce(CodeChallenge):
    """RFC 7636 with S256 and nothing less, for everyone (RFC 9700, section 2.1.1)."""

    SUPPORTED_CODE_CHALLENGE_METHOD = ["S256"]  # noqa: RUF012 - Authlib's own

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        values = grant.request.form
        if not values.get("code_challenge_method"):
            raise InvalidRequestError("PKCE with S256 is needed")
        # Authlib takes what could be a `plain` one too.
        if not _CHALLENGE.fullmatch(values.get("code_challenge", "")):
            raise InvalidRequestError("code_challenge is no SHA-256")
        super().validate_code_challenge(grant, redirect_uri)


class CodeGrant(AuthorizationCodeGrant):
    """Authorization codes (RFC 6749, section 4.1)."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("none",)

    @staticmethod
    def validate_authorization_redirect_uri(request: OAuth2Request, client: ClientMixin) -> str:
        address = cast(Request, request).values.get("redirect_uri", "")
        if not client.check_redirect_uri(address):
            raise InvalidRequestError("redirect_uri is not one of the client")
        return address

    def generate_authorization_code(self) -> str:
        self._grant = self.server.tx.new_id("grant")
        return str(self.server.own.secrets.authorization_code(self._grant))

    def save_authorization_code(self, code: str, request: OAuth2Request) -> None:  # noqa: ARG002
        values = cast(Request, request).values
        account: Document = cast(Document, request.user)
        asked = grants.Asked(
            values["client_id"],
            values["redirect_uri"],
            request.scope,
            values["code_challenge"],
            values.get("nonce", ""),
        )
        staff = grants.is_staff(account.body["roles"])
        tx = self.server.tx
        made = grants.new_grant(account.key, asked, staff=staff, now_ms=tx.now_ms)
        self.server.grant = tx.put("grants", self._grant, made)

    def query_authorization_code(self, code: str, client: ClientMixin) -> Code | None:
        found = self.server.grant_of(self.server.own.secrets.grant_of(code))
        if found is None or found.body["client"] != client.get_client_id():
            return None
        if found.body["state"] != "code":
            self.server.redeem(found)
            return None
        return Code(found)

    def authenticate_user(self, authorization_code: Code) -> Document | None:
        if not self.server.redeem(authorization_code.document):
            return None
        return cast("Document | None", self.server.account_of(authorization_code.document))

    def delete_authorization_code(self, authorization_code: Code) -> None:
        """It was used when its user was looked for: both are one step."""


class RefreshGrant(RefreshTokenGrant):
    """Refresh tokens that turn over with each use (RFC 9700, section 4.14.2)."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("none",)
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> Held:
        read: Refresh | None = self.server.own.secrets.refresh_of(refresh_token)
        found = None if read is None else self.server.grant_of(read.grant)
        if read is None or found is None:
            raise InvalidGrantError
        return Held(found, read.number)

    def authenticate_user(self, refresh_token: Held) -> Document:
        account = self.server.account_of(refresh_token.document)
        if not self.server.rotate(refresh_token) or account is None:
            raise InvalidGrantError
        return cast(Document, account)

    def revoke_old_credential(self, refresh_token: TokenMixin) -> None:
        """It was used when its user was looked for: both are one step."""


class OwnGrant(ClientCredentialsGrant):
    """Clients that act for themselves (RFC 6749, section 4.4)."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic", "client_secret_post")


class Revocation(RevocationEndpoint):
    """RFC 7009: any token of a grant ends the whole grant."""

    CLIENT_AUTH_METHODS = ("none", "client_secret_basic", "client_secret_post")

    def query_token(self, token_string: str, token_type_hint: str | None) -> Held | None:  # noqa: ARG002
        server: Server = self.server
        read = server.own.secrets.refresh_of(token_string)
        name = read.grant if read else server.grant_named_in(token_string)
        found = server.grant_of(name)
        return None if found is None else Held(found)

    def revoke_token(self, token: Held, request: OAuth2Request) -> None:  # noqa: ARG002
        server: Server = self.server
        grants.revoke(token.document.body, server.tx.now_ms)
        server.tx.put("grants", token.document.key, token.document.body)


class Server(AuthorizationServer):
    """The server of one run of one change. `grant` is what a token is being made for."""

    def __init__(self, tx: Transaction, own: Issuing) -> None:
        super().__init__(scopes_supported=list(scopes.SCOPES))
        self.tx = tx
        self.own = own
        self.grant: Document | None = None
        self.register_grant(CodeGrant, [Pkce(required=True)])
        self.register_grant(RefreshGrant)
        self.register_grant(OwnGrant)
        self.register_endpoint(Revocation)

    # What Authlib asks a framework for

    def query_client(self, client_id: str) -> ClientMixin:
        found = self.tx.get("clients", client_id) if _CLIENT_ID.fullmatch(client_id) else None
        if found is None or found.body["state"] != "open":
            # Authlib's own type says that there is one; its code knows that there may be none.
            return cast(ClientMixin, None)
        return Client(found, self)

    def create_oauth2_request(self, request: Request) -> OAuth2Request:
        return request

    def handle_response(self, status: int, body: Any, headers: Any) -> Reply:
        named = dict(headers)
        said = body if isinstance(body, dict) else {}
        if said.get("error") == "invalid_client":
            # The library tells which it is: no such client, another secret, or another grant.
            return Reply(401, {"error": "invalid_client"}, None, None)
        return Reply(status, said, named.get("Location"), named.get("WWW-Authenticate"))

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Nobody listens."""

    def save_token(self, token: Any, request: OAuth2Request) -> None:
        """Nothing is stored of a token: the grant knows its number."""

    # Grants

    def grant_of(self, name: str | None) -> Document | None:
        return None if name is None else self.tx.get("grants", name)

    def account_of(self, grant: Document) -> Document | None:
        """A grant's account, if it may sign in, has not signed out everywhere since, and is not of
        the staff without having been so at that sign-in: a number alone gives no power over others.
        """
        found = self.tx.get("accounts", grant.body["account"])
        if found is None or not accounts.may_sign_in(found.body):
            return None
        if accounts.is_signed_out(found.body, grant.body["signed_in_ms"]):
            return None
        staff = grants.is_staff(found.body["roles"]) and not self.own.staff_by_number
        return None if staff and not grant.body["staff"] else found

    def redeem(self, grant: Document) -> bool:
        """Use a grant's code, and keep what comes of it."""
        good = grants.redeem(grant.body, self.tx.now_ms)
        self.grant = self.tx.put("grants", grant.key, grant.body)
        return good

    def rotate(self, held: Held) -> bool:
        """Use a refresh token, and keep what comes of it."""
        grant = held.document
        good = grants.rotate(grant.body, held.number or 0, self.tx.now_ms)
        self.grant = self.tx.put("grants", grant.key, grant.body)
        return good

    def grant_named_in(self, token: str) -> str | None:
        """The grant that an access token of ours was made for; None for what is none of ours."""
        claims = self.own.keys.read(self.tx, token)
        if claims is None:
            return None
        named = _grant_of(claims)
        if named is None:
            # A client's own token has no grant that could be taken back: it expires.
            raise UnsupportedTokenTypeError
        return named

    def signed_in(self, claims: Body) -> Document | None:
        """The account whose sign-in an access token of ours came of; None where that has ended,
        whatever is left of the token's own time, and for a token of no sign-in.
        """
        grant = self.grant_of(_grant_of(claims))
        if grant is None or not grants.stands(grant.body, self.tx.now_ms):
            return None
        return self.account_of(grant)

    # Tokens

    def generate_token(
        self,
        grant_type: str,  # noqa: ARG002
        client: ClientMixin,
        user: Document | None = None,
        scope: str | None = None,
        expires_in: int | None = None,  # noqa: ARG002
        include_refresh_token: bool = True,  # noqa: FBT001, FBT002 - Authlib's own
    ) -> dict[str, str | int]:
        """The answer with all its tokens."""
        known = cast(Client, client)
        if user is None or self.grant is None:
            return self._own_tokens(known, scope)
        # What the grant says was allowed when it was made, maybe half a year ago.
        asked = known.within(scopes.named(scope or ""))
        named = scopes.granted(asked, user.body["roles"])
        claims = self._claims(user.key, known, named, user.body["roles"])
        claims["jti"] = f"{self.grant.key}.{claims['jti']}"
        claims["auth_time"] = self.grant.body["signed_in_ms"] // 1000
        answer = self._answer(claims)
        if include_refresh_token:
            number = self.grant.body["number"]
            answer["refresh_token"] = self.own.secrets.refresh_token(self.grant.key, number)
        if scopes.OPENID in named:
            answer["id_token"] = self._id_token(self.grant.body, claims)
        return answer

    def _own_tokens(self, client: Client, scope: str | None) -> dict[str, str | int]:
        roles = client.body["roles"]
        named = scopes.granted(scopes.named(client.get_allowed_scope(scope)), roles)
        return self._answer(self._claims(client.id, client, named, roles))

    def _claims(
        self, subject: str, client: Client, named: Sequence[str], roles: Sequence[str]
    ) -> Body:
        """RFC 9068, section 2.2."""
        if not named:
            raise InvalidScopeError
        now = self.tx.now_ms // 1000
        return {
            "iss": self.own.issuer,
            "sub": subject,
            "aud": scopes.audience(named),
            "iat": now,
            "nbf": now,
            "exp": now + self.own.token_seconds,
            "jti": self.tx.new_id("token").removeprefix("token_"),
            "client_id": client.id,
            "scope": " ".join(named),
            "roles": list(roles),
        }

    def _answer(self, claims: Body) -> dict[str, str | int]:
        return {
            "token_type": "Bearer",
            "access_token": self.own.keys.sign(self.tx, "at+jwt", claims),
            "expires_in": self.own.token_seconds,
            "scope": claims["scope"],
        }

    def _id_token(self, grant: Body, claims: Body) -> str:
        """OpenID Connect Core, section 2."""
        said = {
            "iss": claims["iss"],
            "sub": claims["sub"],
            "aud": claims["client_id"],
            "iat": claims["iat"],
            "exp": claims["iat"] + ID_TOKEN_SECONDS,
            "auth_time": claims["auth_time"],
        }
        if grant["nonce"]:
            said["nonce"] = grant["nonce"]
        return self.own.keys.sign(self.tx, "JWT", said)


def _grant_of(claims: Body) -> str | None:
    """The grant that an access token names; None for one that a client has for itself."""
    named = _GRANT_OF_TOKEN.fullmatch(str(claims.get("jti")))
    return None if named is None else named[1]
