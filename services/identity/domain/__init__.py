"""Identity: what accounts, apps, sign-ins and grants are, and which changes are allowed.

Pure Python on plain documents. Functions take bodies as they stand, and either change them or
raise `Refused`. Here: the collections.

The law of a grant: one sign-in makes one grant, one grant one authorization code, and of its
refresh tokens one is good at any time. Whatever is used a second time ends the grant for good.

No document holds a phone number, a code, a token or a secret in clear, nor a digest of one that
could be counted through without identity's own keys.
"""

from services.identity.domain import (
    accounts,
    audit,
    clients,
    delegations,
    grants,
    keys,
    names,
    roles,
    sign_ins,
    staff,
)
from shared.storage.catalogue import Catalogue

CATALOGUE = Catalogue(
    *accounts.COLLECTIONS,
    *clients.COLLECTIONS,
    *grants.COLLECTIONS,
    *sign_ins.COLLECTIONS,
    *keys.COLLECTIONS,
    *staff.COLLECTIONS,
    *roles.COLLECTIONS,
    *audit.COLLECTIONS,
    *names.COLLECTIONS,
    *delegations.COLLECTIONS,
)
