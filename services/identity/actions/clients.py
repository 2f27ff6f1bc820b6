"""Clients: made known by operators, who get a secret for those that act for themselves."""

from services.identity.domain import clients
from services.identity.domain.clients import Registration
from shared.errors import Refused
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
)
from shared.storage.catalogue import Body


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
    return database.read(lambda view: view.require("clients", client), freshness)


def list_clients(
    database: Database, *, limit: int, after: Position | None, freshness: Freshness
) -> Committed[list[Hit]]:
    """All clients, by when they were made known."""
    return database.read(
        lambda view: view.find("clients_by_time", (), limit=limit, after=after), freshness
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


def plant_client(database: Database, client: str, registration: Registration) -> Committed[bool]:
    """Make a sample client known; whether it was missing."""
    clients.check(registration)

    def change(tx: Transaction) -> bool:
        if tx.get("clients", client) is not None:
            return False
        body: Body = {**clients.new_client(registration, tx.now_ms), "sample": True}
        tx.put("clients", client, body)
        return True

    return database.transact(change)
