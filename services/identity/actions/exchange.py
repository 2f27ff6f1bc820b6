"""Token exchange (RFC 8693): who acts under a delegation gets a token of the person's.

    grant_type=urn:ietf:params:oauth:grant-type:token-exchange
    client_id=‹app›
    subject_token=‹delegation id›   subject_token_type=urn:gansu:params:oauth:token-type:delegation
    actor_token=‹own access token, with delegations:write›
    actor_token_type=urn:ietf:params:oauth:token-type:access_token
    scope=‹a part of the delegation's›

The token names the person as `sub` and who acts in `act` (section 4.1). It has no role but
`citizen`, no scope that was not delegated, and no refresh token: it ends within
`delegations.TOKEN_SECONDS`, and the next one is given only if the delegation still stands. Each is
noted in the transaction that gives it, where the person can read it.
"""

from collections.abc import Mapping
from datetime import date

from services.identity.actions.counts import count
from services.identity.actions.oauth import Issuing, Reply, Server
from services.identity.domain import accounts, delegations, scopes
from shared.errors import Refused
from shared.storage.access import Database, Document, Transaction
from shared.storage.catalogue import Body

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:token-exchange"
DELEGATION = "urn:gansu:params:oauth:token-type:delegation"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a type's name

ACTS = "delegations:write"
"""The scope of an actor's own token."""


class _Unfit(Exception):  # noqa: N818 - an answer
    """Why no token is given, in OAuth's words."""


def exchange(
    database: Database, own: Issuing, values: Mapping[str, str], born: date | None
) -> Reply:
    """Give a token, or refuse by RFC 6749, section 5.2. `born`: `actions.delegations.born_of`, of
    the delegation that `subject_token` names.
    """

    def change(tx: Transaction) -> Reply:
        try:
            return Reply(200, _token(tx, own, values, born), None, None)
        except _Unfit as unfit:
            return Reply(400, {"error": str(unfit)}, None, None)

    return database.transact(change).value


def _token(
    tx: Transaction, own: Issuing, values: Mapping[str, str], born: date | None
) -> dict[str, object]:
    client = _client(tx, own, values)
    agent = _agent(tx, own, values, client.key)
    delegation = _delegation(tx, values, agent, born)
    asked = scopes.named(values.get("scope", ""))
    named = [
        name for name in delegations.cut(delegation.body, asked) if name in client.body["scopes"]
    ]
    if not named:
        raise _Unfit("invalid_scope")
    try:
        count(tx, f"acts.{delegation.key}", delegations.TOKENS)
    except Refused:
        raise _Unfit("slow_down") from None
    act = delegations.new_act(delegation.key, client.key, named, tx.now_ms)
    jti = tx.put("acts", tx.new_id("act"), act).key
    claims = _claims(tx, own, delegation, client.key, named)
    claims.update(jti=jti.removeprefix("act_"))
    ends_ms = delegations.ends_ms(delegation.body, born)
    if ends_ms is not None:
        # Not past the end of the term, nor into the birthday.
        claims["exp"] = min(claims["exp"], ends_ms // 1000)
    return {
        "access_token": own.keys.sign(tx, "at+jwt", claims),
        "issued_token_type": ACCESS_TOKEN,
        "token_type": "Bearer",
        "expires_in": claims["exp"] - claims["iat"],
        "scope": claims["scope"],
    }


def _client(tx: Transaction, own: Issuing, values: Mapping[str, str]) -> Document:
    """The app that asks: one that people sign in to."""
    if values.get("subject_token_type") != DELEGATION:
        raise _Unfit("invalid_request")
    if values.get("actor_token_type") != ACCESS_TOKEN:
        raise _Unfit("invalid_request")
    known = Server(tx, own).query_client(values.get("client_id", ""))
    found = None if known is None else tx.get("clients", known.get_client_id())
    if found is None or found.body["kind"] != "app":
        raise _Unfit("invalid_client")
    return found


def _agent(tx: Transaction, own: Issuing, values: Mapping[str, str], client: str) -> str:
    """Who acts: by an access token of their own, of this app, that is good now and acts itself for
    nobody. It has to be one for identity, and for delegations: what a service was shown, for itself
    alone, opens no other. A sign-in that has ended gives no more tokens.
    """
    claims = own.keys.read(tx, values.get("actor_token", ""))
    now = tx.now_ms // 1000
    if claims is None or claims.get("iss") != own.issuer or "act" in claims:
        raise _Unfit("invalid_grant")
    if claims.get("client_id") != client or not claims["nbf"] <= now < claims["exp"]:
        raise _Unfit("invalid_grant")
    if "identity" not in claims["aud"] or ACTS not in scopes.named(claims["scope"]):
        raise _Unfit("invalid_grant")
    found = Server(tx, own).signed_in(claims)
    if found is None:
        raise _Unfit("invalid_grant")
    return found.key


def _delegation(
    tx: Transaction, values: Mapping[str, str], agent: str, born: date | None
) -> Document:
    """The delegation, if it stands and is theirs; whatever else it is, nobody learns."""
    found = tx.get("delegations", values.get("subject_token", ""))
    if found is None or found.body["agent"] != agent:
        raise _Unfit("invalid_grant")
    if not delegations.is_live(found.body, born, tx.now_ms):
        raise _Unfit("invalid_grant")
    person = tx.get("accounts", found.body["person"])
    if person is None or not accounts.may_sign_in(person.body):
        raise _Unfit("invalid_grant")
    acting = tx.require("accounts", agent)
    if found.body["kind"] == "station_agent" and "station_agent" not in acting.body["roles"]:
        raise _Unfit("invalid_grant")
    return found


def _claims(
    tx: Transaction, own: Issuing, delegation: Document, client: str, named: list[str]
) -> Body:
    now = tx.now_ms // 1000
    body = delegation.body
    return {
        "iss": own.issuer,
        "sub": body["person"],
        "aud": scopes.audience(named),
        "iat": now,
        "nbf": now,
        "exp": now + min(delegations.TOKEN_SECONDS, own.token_seconds),
        "client_id": client,
        "scope": " ".join(named),
        "roles": ["citizen"],
        "auth_time": body["begun_ms"] // 1000,
        "act": {"sub": body["agent"], "kind": body["kind"], "delegation": delegation.key},
    }
