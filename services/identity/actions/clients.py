"""Clients: made known by operators, who get a secret for those that act for themselves.

Who changes something is looked up here and not believed: a token may say what somebody was minutes
ago, and what it makes or shows, a secret, lasts.
"""

from collections.abc import Mapping

from services.identity.actions.audit import note
from services.identity.actions.roles import held
from services.identity.domain import clients
from services.identity.domain.clients import Registration
from shared.errors import FORBIDDEN, NOT_FOUND, Refused
from shared.storage.access import (
    FRESH,
    Change,
    Claim,
    Committed,
    Database,
    Document,
    Freshness,
    Hit,
    Position,
    Transaction,
    View,
    recent,
    unchanged,
)
from shared.storage.catalogue import Body

PUBLIC = recent(1.0)
"""What everyone may read may be a second old; nothing is decided on it."""


def register(
    database: Database, claim: Claim, by: str, client: str, registration: Registration
) -> Committed[Document]:
    """Make a client known. Raises Refused: FORBIDDEN, INVALID, CLIENT_EXISTS."""
    clients.check(registration)

    def change(tx: Transaction) -> Document:
        if tx.get("clients", client) is not None:
            raise Refused(clients.CLIENT_EXISTS)
        note(tx, "client_registered", client, by)
        return tx.put("clients", client, clients.new_client(registration, tx.now_ms))

    return _once(database, claim, by, None, change)


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
    database: Database, by: str, client: str, revision: int, changes: Body
) -> Committed[Document]:
    """Change what was said of a client, as it was read. Raises Refused: FORBIDDEN, NOT_FOUND,
    STALE, INVALID, CLIENT_CLOSED, CLIENT_OF_OFFICE.
    """

    def change(tx: Transaction) -> Document:
        found = tx.require("clients", client)
        _check_operator(tx, by)
        unchanged(found, revision)
        changed = clients.change(found.body, changes)
        note(tx, "client_changed", client, by, members=changed)
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


def renew_secret(database: Database, claim: Claim, by: str, client: str) -> Committed[Document]:
    """Begin a client's next secret. Raises Refused: FORBIDDEN, NOT_FOUND, NO_SECRET,
    CLIENT_CLOSED.
    """

    def change(tx: Transaction) -> Document:
        found = tx.require("clients", client)
        clients.renew_secret(found.body, tx.now_ms)
        note(tx, "client_secret_renewed", client, by)
        return tx.put("clients", client, found.body)

    return _once(database, claim, by, client, change)


def close(database: Database, claim: Claim, by: str, client: str) -> Committed[Document]:
    """Let a client get no more tokens. Raises Refused: FORBIDDEN, NOT_FOUND, CLIENT_CLOSED,
    CLIENT_OF_OFFICE.
    """

    def change(tx: Transaction) -> Document:
        found = tx.require("clients", client)
        clients.close(found.body)
        note(tx, "client_closed", client, by)
        return tx.put("clients", client, found.body)

    return _once(database, claim, by, client, change)


def _once(
    database: Database, claim: Claim, by: str, known: str | None, change: Change[Document]
) -> Committed[Document]:
    """What an operator does once, to a client that is known or makes one so. Who asks is looked up
    before a replay as well, which shows a secret again without running anything.
    """

    def look(view: View) -> None:
        if known is not None:
            view.require("clients", known)
        _check_operator(view, by)

    def by_operator(tx: Transaction) -> Document:
        look(tx)
        return change(tx)

    database.read(look)
    return database.transact_once(claim, by_operator)


def _check_operator(view: View, by: str) -> None:
    if "operator" not in held(view, by):
        raise Refused(FORBIDDEN, detail={"roles": ["operator"]})


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
