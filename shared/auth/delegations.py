"""Delegation ids as a service stores them: sealed, so that two journals share none of them.

A subject is a one-way digest, because nobody has to be shown an account. A delegation has to be
shown to the person who gave it, under the id by which the issuer lists it and takes it back. So it
is encrypted: AES-SIV (RFC 5297), which needs no nonce, gives the same text for the same delegation
and service, and refuses what was changed. See docs/decisions/0091.
"""

import base64
import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

_PREFIX = "dlg_"


class Seal:
    """Seals and opens with one service's key. Thread-safe."""

    def __init__(self, key: bytes) -> None:
        # A key of its own: nothing that is sealed may say anything about a subject.
        self._cipher = AESSIV(hmac.digest(key, b"delegation", hashlib.sha512))

    def sealed(self, delegation: str) -> str:
        """What is stored for a delegation id."""
        text = self._cipher.encrypt(delegation.encode(), None)
        return _PREFIX + base64.urlsafe_b64encode(text).decode().rstrip("=")

    def opened(self, stored: str) -> str:
        """The delegation id. Raises ValueError for what this service has not sealed."""
        text = stored.removeprefix(_PREFIX)
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            return self._cipher.decrypt(raw, None).decode()
        except InvalidTag as error:
            raise ValueError("not sealed by this service") from error
