"""Signing keys: made in time, agreed upon through the journal, used and published.

Only `Keys` sees a private half, in memory and for as long as the process lives.
"""

import re
from functools import lru_cache

import orjson
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from services.identity.domain import keys
from services.identity.domain.sealing import Sealing
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
