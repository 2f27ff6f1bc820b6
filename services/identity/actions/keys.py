"""Signing keys: made in time, agreed upon through the journal, used and published, withdrawn.

Only `Keys` sees a private half, in memory and for as long as the process lives.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

import orjson
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from services.identity.actions.audit import note
from services.identity.domain import keys
from services.identity.domain.sealing import Sealing
from shared.errors import NOT_FOUND, Refused
from shared.storage.access import Database, Document, Transaction, View, recent
from shared.storage.catalogue import Body

_PUBLISHED = recent(5.0, outage_seconds=86_400)

_KID = re.compile(r"key_[0-9a-f]{32}")


class Keys:
    """Identity's keys. Thread-safe."""

    def __init__(self, sealing: Sealing) -> None:
        self._sealing = sealing
        self._opened = lru_cache(maxsize=2 * keys.KEYS_MAX)(self._unsealed)

    def roll(self, tx: Transaction) -> None:
        """Make the next key where it is time, and let those go that nobody needs."""
        for hit in tx.find("keys_by_end", (), until=tx.now_ms, limit=keys.KEYS_MAX):
            tx.delete("keys", hit.document.key)
        from_ms = self.next_from_ms(tx, tx.now_ms)
        if from_ms is None:
            return
        kid = tx.new_id("key")
        made = ECKey.generate_key("P-256", {"kid": kid, "use": "sig", "alg": "ES256"})
        private = orjson.dumps(made.as_dict(private=True))
        sealed = self._sealing.seal("keys", kid, private)
        tx.put("keys", kid, keys.new_key(dict(made.as_dict(private=False)), sealed, from_ms))

    def next_from_ms(self, view: View, now_ms: int) -> int | None:
        """From when a key has to sign that is yet to be made; None while there are enough."""
        return keys.next_from_ms((found.body for found in self._own(view)), now_ms)

    def sign(self, tx: Transaction, kind: str, claims: Body) -> str:
        """The claims as a JWT of this `typ`, signed with the key of the hour."""
        self.roll(tx)
        key = next(found for found in self._own(tx) if keys.signs(found.body, tx.now_ms))
        header = {"alg": "ES256", "typ": kind, "kid": key.key}
        return jwt.encode(header, claims, self._opened(key.key, key.body["sealed"]), ["ES256"])

    def read(self, view: View, token: str) -> Body | None:
        """The claims of a JWT that one of these keys has signed; None for any other text."""
        try:
            kid = jws.extract_compact(token.encode()).headers().get("kid")
            found = view.get("keys", kid) if isinstance(kid, str) and _KID.fullmatch(kid) else None
            if found is None:
                return None
            key = ECKey.import_key(found.body["jwk"])
            claims = orjson.loads(jws.deserialize_compact(token, key, ["ES256"]).payload or b"")
        # A header that is no JSON object fails inside the library in ways of its own.
        except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None
        return claims if isinstance(claims, dict) else None

    def withdraw(self, tx: Transaction, kids: Sequence[str], by: str, reason: str) -> None:
        """Let these sign no more, and be published no more: what they have signed ends with the
        next look that a service takes. Raises Refused(NOT_FOUND), with the `key`.
        """
        for kid in kids:
            if tx.get("keys", kid) is None:
                raise Refused(NOT_FOUND, detail={"key": kid})
            tx.delete("keys", kid)
            note(tx, "key_withdrawn", kid, by, reason=reason)
        own = self._own(tx)
        if own and not any(keys.signs(found.body, tx.now_ms) for found in own):
            # The one that was to sign next is published, and services know it.
            keys.begin_now(own[0].body, tx.now_ms)
            tx.put("keys", own[0].key, own[0].body)
        self.roll(tx)

    def withdraw_unopened(self, tx: Transaction, by: str, reason: str) -> list[str]:
        """Withdraw the keys that another sealing key had sealed; which they were. Raises
        Refused(NONE_OPENS) where that would be all.
        """
        if not self._own(tx):
            raise Refused(keys.NONE_OPENS)
        unopened = [found.key for found in standing(tx) if not self._opens(found)]
        self.withdraw(tx, unopened, by, reason)
        return unopened

    def listed(self, view: View) -> list[tuple[Document, bool]]:
        """All keys, by when they end, and whether they open."""
        return [(found, self._opens(found)) for found in standing(view)]

    def published(self, database: Database) -> list[Body]:
        """The public halves, newest last; the first key is made by whoever asks first."""
        found = database.read(standing, _PUBLISHED).value
        if not found:
            database.transact(self.roll)
            found = database.read(standing).value
        return [document.body["jwk"] for document in found]

    def _own(self, view: View) -> list[Document]:
        """The keys that open. Another sealing key makes new ones beside those that it cannot open:
        containers with the old and the new one serve together, and what was signed stays good.
        """
        return [found for found in standing(view) if self._opens(found)]

    def _opens(self, key: Document) -> bool:
        try:
            self._opened(key.key, key.body["sealed"])
        except ValueError:
            return False
        return True

    def _unsealed(self, kid: str, sealed: str) -> ECKey:
        return ECKey.import_key(orjson.loads(self._sealing.unseal("keys", kid, sealed)))


def standing(view: View) -> list[Document]:
    """All keys that somebody may need, by when they end."""
    return [hit.document for hit in view.find("keys_by_end", (), limit=keys.KEYS_MAX)]
