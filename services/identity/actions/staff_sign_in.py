"""What staff sign in to: an app's request, granted in the transaction that used the code up."""

from collections.abc import Mapping

from services.identity.actions import staff
from services.identity.actions.authorizations import grant
from services.identity.actions.names import Registry
from services.identity.actions.oauth import Issuing
from services.identity.actions.staff import Given
from services.identity.domain.staff import SIGN_IN_REFUSED
from shared.errors import Refused
from shared.storage.access import Database, Transaction


def finish(
    database: Database,
    own: Issuing,
    registry: Registry,
    given: Given,
    values: Mapping[str, str],
    now_ms: int,
) -> tuple[str, str]:
    """The account that somebody signs in to, and where that leads. Raises AuthorizationRefused;
    Refused: SIGN_IN_REFUSED, TRY_LATER, BUSY.
    """
    tried = staff.look(database, registry, given, now_ms)

    def change(tx: Transaction) -> tuple[str, str] | None:
        account = staff.settle(tx, own.secrets, tried)
        if account is None:
            return None
        _, location = grant(tx, own, values, tx.require("accounts", account))
        return account, location

    signed_in = database.transact(change).value
    if signed_in is None:
        raise Refused(SIGN_IN_REFUSED)
    return signed_in
