"""Sealing: what a journal holds and its readers must not read. AES-256-GCM, bound to its place.

A sealed text opens only under the key and for the place (collection and key) that it was sealed
for, so that nobody who can write a document can move one person's number into another's.
"""

import base64
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12


class Sealing:
    """Seals under one key of 32 bytes. `random` gives unpredictable bytes."""

    def __init__(self, key: bytes, random: Callable[[int], bytes]) -> None:
        self._cipher = AESGCM(key)
        self._random = random

    def seal(self, collection: str, key: str, content: bytes) -> str:
        """The content as text that only `unseal` reads, for the same place."""
        nonce = self._random(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, content, _place(collection, key))
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def unseal(self, collection: str, key: str, sealed: str) -> bytes:
        """What was sealed. Raises ValueError for anything else."""
        try:
            raw = base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
            nonce, rest = raw[:_NONCE_BYTES], raw[_NONCE_BYTES:]
            return self._cipher.decrypt(nonce, rest, _place(collection, key))
        except (InvalidTag, ValueError) as error:
            raise ValueError("was not sealed here") from error


def _place(collection: str, key: str) -> bytes:
    return f"{collection}\0{key}".encode()
