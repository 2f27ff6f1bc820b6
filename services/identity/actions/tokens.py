"""Tokens: given for a code, a refresh token or a secret; taken back."""

from collections.abc import Mapping
from typing import Any

from services.identity.actions.oauth import GRANT_TYPES, OWN_GRANT_TYPES, Issuing, Reply, Server
from services.identity.actions.oauth import Request as OAuthRequest
from shared.storage.access import Database, Transaction

_KNOWN = {*GRANT_TYPES["app"], *OWN_GRANT_TYPES}


def give(
    database: Database, own: Issuing, values: Mapping[str, str], authorization: str | None
) -> Reply:
    """RFC 6749, section 3.2. Two at once with one code or refresh token are told apart by their
    order in the journal.
    """
    if values.get("grant_type") not in _KNOWN:
        return refusal("unsupported_grant_type" if "grant_type" in values else "invalid_request")

    def change(tx: Transaction) -> Reply:
        request = OAuthRequest("POST", values, authorization)
        server: Any = Server(tx, own)
        reply: Reply = server.create_token_response(request)
        return reply

    return database.transact(change).value


def take_back(
    database: Database, own: Issuing, values: Mapping[str, str], authorization: str | None
) -> Reply:
    """RFC 7009, section 2: 200 also for what is no token, or no longer."""

    def change(tx: Transaction) -> Reply:
        request = OAuthRequest("POST", values, authorization)
        server: Any = Server(tx, own)
        reply: Reply = server.create_endpoint_response("revocation", request)
        return reply

    return database.transact(change).value


def refusal(error: str, status: int = 400) -> Reply:
    """A refusal in OAuth's own words (RFC 6749, section 5.2)."""
    return Reply(status, {"error": error}, None, None)
