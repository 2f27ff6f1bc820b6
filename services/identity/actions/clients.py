"""Clients: made known by operators, who get a secret for those that act for themselves."""

from collections.abc import Mapping

from services.identity.domain import clients
from services.identity.domain.clients import Registration
from shared.errors import NOT_FOUND, STALE, Refused
from shared.storage.access import (
    FRESH,
    Claim,
    Committed,
    Database,
    Document,
    Freshness,
    Hit,
    Position,
    Transaction,
    recent,
)
from shared.storage.catalogue import Body

PUBLIC = recent(1.0)
"""What everyone may read may be a second old; nothing is decided on it."""


def register(
    database: Database, claim: Claim, client: str, registration: Registration
) -> Committed[Document]:
    """Make a client known. Raises Refused: INVALID, CLIENT_EXISTS."""
    clients.check(registration)

    def change(tx: Transaction) -> Document:
        if tx.get("clients", client) is not None:
            raise Refused(clients.CLIENT_EXISTS)
        return tx.put("clients", client, clients.new_client(registration, tx.now_ms))

    return database.transact_once(claim, change)


def read_client(
    database: Database, client: str, freshness: Freshness = FRESH
) -> Committed[Document]:
    """A client. Raises Refused(NOT_FOUND)."""
    return database.read_one("clients", client, freshness)


def list_clients(
    database: Database, *, limit: int, after: Position | None, freshness: Freshness
) -> Committed[list[Hit]]:
    """All clients, by when they were made known."""
    return database.read(
        lambda view: view.find("clients_by_time", (), limit=limit, after=after), freshness
    )


def change_client(
    database: Database, client: str, revision: int, changes: Body
) -> Committed[Document]:
    """Change what was said of a client, as it was read. Raises Refused: NOT_FOUND, STALE, INVALID,
    CLIENT_CLOSED.
    """

    def change(tx: Transaction) -> Document:
        found = tx.require("clients", client)
        if found.revision != revision:
            raise Refused(STALE)
        clients.change(found.body, changes)
        return tx.put("clients", client, found.body)

    return database.transact(change)


def read_app(database: Database, client: str, freshness: Freshness = PUBLIC) -> Committed[Document]:
    """An app that people can sign in to, as everyone may see it. Raises Refused(NOT_FOUND)."""
    found = database.read_one("clients", client, freshness)
    if (found.value.body["kind"], found.value.body["state"]) != ("app", "open"):
        raise Refused(NOT_FOUND)
    return found


def list_apps(
    database: Database, *, limit: int, after: Position | None, freshness: Freshness = PUBLIC
) -> Committed[list[Hit]]:
    """All apps that people can sign in to."""
    return database.read(
        lambda view: view.find("clients_by_kind", ("app", "open"), limit=limit, after=after),
        freshness,
    )


def renew_secret(database: Database, claim: Claim, client: str) -> Committed[Document]:
    """Begin a client's next secret. Raises Refused: NOT_FOUND, NO_SECRET, CLIENT_CLOSED."""

    def change(tx: Transaction) -> Document:
        found = tx.require("clients", client)
        clients.renew_secret(found.body, tx.now_ms)
        return tx.put("clients", client, found.body)

    return database.transact_once(claim, change)


def close(database: Database, claim: Claim, client: str) -> Committed[Document]:
    """Let a client get no more tokens. Raises Refused: NOT_FOUND, CLIENT_CLOSED."""

    def change(tx: Transaction) -> Document:
        found = tx.require("clients", client)
        clients.close(found.body)
        return tx.put("clients", client, found.body)

    return database.transact_once(claim, change)


def plant_clients(database: Database, samples: Mapping[str, Registration]) -> Committed[int]:
    """Make the sample clients known that are missing; how many they were."""
    for registration in samples.values():
        clients.check(registration)

    def change(tx: Transaction) -> int:
        missing = [client for client in samples if tx.get("clients", client) is None]
        for client in missing:
            body: Body = {**clients.new_client(samples[client], tx.now_ms), "sample": True}
            tx.put("clients", client, body)
        return len(missing)

    return database.transact(change)
