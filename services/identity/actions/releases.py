"""ID numbers that an officer frees: another account took one that is not its owner's."""

from services.identity.actions.delegations import end_guardianships
from services.identity.actions.erasures import Erased, erasing, forget_name
from services.identity.actions.names import Registry
from services.identity.actions.roles import held
from services.identity.domain import names
from shared.errors import FORBIDDEN, NOT_FOUND, Refused
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


def release(
    database: Database, own: Registry, claim: Claim, by: str, number: str, reason: str
) -> Committed[Document]:
    """Free a number, and end what rested on it: the name of the account that took it, its
    guardianships, and as a child's account those of it. Raises Refused: FORBIDDEN, NOT_FOUND, BUSY.
    """
    digest = own.secrets.known(names.KIND, number)

    def change(tx: Transaction, erased: Erased) -> Document:
        if "security" not in held(tx, by):
            raise Refused(FORBIDDEN, detail={"roles": ["security"]})
        taken = tx.get("id_numbers", digest)
        if taken is None:
            raise Refused(NOT_FOUND)
        account = taken.body["account"]
        end_guardianships(tx, account, by, erased)
        forget_name(tx, account, erased)
        made = names.new_release(account, by, reason, tx.now_ms)
        return tx.put("number_releases", tx.new_id("release"), made)

    return erasing(
        own.vault, lambda erased: database.transact_once(claim, lambda tx: change(tx, erased))
    )


def list_releases(
    database: Database, *, limit: int, after: Position | None, freshness: Freshness = FRESH
) -> Committed[list[Hit]]:
    """Numbers that were freed, newest first."""
    return database.read(
        lambda view: view.find(
            "number_releases_by_time", (), limit=limit, after=after, descending=True
        ),
        freshness,
    )
