"""Sealing of personal data before `tx.put`: AES-256-GCM, bound to its place, and erasable.

    sealed = vault.seal("names", account, content)       before the change: it does I/O
    content = vault.unseal("names", account, sealed)     raises Unreadable

A journal never forgets: what was put once stands in it. So each owner's data is sealed under a key
of the owner's own, which is an object beside the journal, wrapped by a master key from settings.
Removing that one object makes everything unreadable that was sealed for the owner, in the journal,
in replicas and in their copies.

A sealed text is `‹data key id›.‹nonce and ciphertext›`. Collection and key are associated data
(NIST SP 800-38D, section 7): what is moved to another document does not open there. The owner is
the document's key, or what `owner` names.

Master keys have ids and can roll: the first wraps, all unwrap. Objects are never replaced, so a
master key stays in the settings for as long as an object is wrapped by it; each begins with its id.

An owner's key is made by whoever creates its object first. Opened keys are kept in memory, few and
for `KEPT_SECONDS`: so long after an erasure another process may still read.
"""

import base64
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.clock import Clock
from shared.errors import BUSY, Refused
from shared.storage.objects import Absent, Exists, ObjectStore, StoreError

KEY_BYTES = 32
KEPT_SECONDS = 60.0
KEPT_MAX = 1000
CONTENT_BYTES_MAX = 16 << 10
_NONCE_BYTES = 12
_ID_BYTES = 8

_OWNER = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_SEALED = re.compile(r"([0-9a-f]{16})\.([A-Za-z0-9_-]{38,24000})")
_WRAPPED = re.compile(rb"([a-z0-9-]{1,32})\.([0-9a-f]{16})\.([A-Za-z0-9_-]{80})")


class Unreadable(Exception):  # noqa: N818 - an answer
    """It was erased, was sealed for another place, or was changed: nobody can read it."""


@dataclass(frozen=True, slots=True)
class _DataKey:
    id: str
    cipher: AESGCM
    until: float


class Vault:
    """Seals for owners, each under a key of its own. Thread-safe.

    `masters`: keys of 32 bytes by id, the one that wraps first. Keys are objects under `prefix`.
    What the store does not answer is Refused(BUSY).
    """

    def __init__(
        self, store: ObjectStore, prefix: str, masters: Mapping[str, bytes], clock: Clock
    ) -> None:
        if not masters or any(len(key) != KEY_BYTES for key in masters.values()):
            raise ValueError(f"a master key has {KEY_BYTES} bytes")
        self._store = store
        self._prefix = prefix
        self._masters = {name: AESGCM(key) for name, key in masters.items()}
        self._newest = next(iter(masters))
        self._clock = clock
        self._kept: OrderedDict[str, _DataKey] = OrderedDict()
        self._lock = threading.Lock()

    def seal(self, collection: str, key: str, content: bytes, *, owner: str | None = None) -> str:
        """The content as text that opens for the same place only. Makes the owner's key."""
        if len(content) > CONTENT_BYTES_MAX:
            raise ValueError(f"at most {CONTENT_BYTES_MAX} bytes are sealed")
        whose = owner or key
        # Asked of the store, not of memory: an erased key must not seal anything more.
        found = self._read(whose) or self._made(whose)
        nonce = self._clock.random(_NONCE_BYTES)
        sealed = found.cipher.encrypt(nonce, content, _place(collection, key))
        return f"{found.id}.{_text(nonce + sealed)}"

    def unseal(
        self,
        collection: str,
        key: str,
        sealed: str,
        *,
        owner: str | None = None,
        remembered: bool = True,
    ) -> bytes:
        """What was sealed. Raises Unreadable. Where nobody may learn from the time it takes whether
        it was opened lately, the key is asked of the store and not `remembered`.
        """
        read = _SEALED.fullmatch(sealed)
        if read is None:
            raise Unreadable("was not sealed here")
        found = (self._recalled if remembered else self._read)(owner or key)
        if found is None or found.id != read[1]:
            raise Unreadable("its key was erased")
        raw = _bytes(read[2])
        try:
            return found.cipher.decrypt(
                raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _place(collection, key)
            )
        except InvalidTag as error:
            raise Unreadable("was sealed for another place, or changed") from error

    def erase(self, owner: str) -> None:
        """Make everything unreadable that was sealed for the owner. May be repeated."""
        try:
            self._store.delete(self._name(owner))
        except StoreError as error:
            raise _busy() from error
        with self._lock:
            self._kept.pop(owner, None)

    def _recalled(self, owner: str) -> _DataKey | None:
        with self._lock:
            kept = self._kept.get(owner)
        if kept is not None and self._clock.monotonic() < kept.until:
            return kept
        return self._read(owner)

    def _read(self, owner: str) -> _DataKey | None:
        try:
            stored = self._store.get(self._name(owner))
        except Absent:
            with self._lock:
                self._kept.pop(owner, None)
            return None
        except StoreError as error:
            raise _busy() from error
        return self._keep(owner, self._unwrapped(owner, stored))

    def _made(self, owner: str) -> _DataKey:
        """The owner's first key; whose object is stored first has made it."""
        made = self._clock.random(KEY_BYTES)
        key_id, nonce = self._clock.random(_ID_BYTES).hex(), self._clock.random(_NONCE_BYTES)
        sealed = self._masters[self._newest].encrypt(nonce, made, _place(owner, key_id))
        wrapped = f"{self._newest}.{key_id}.{_text(nonce + sealed)}"
        try:
            self._store.create(self._name(owner), wrapped.encode())
        except Exists:
            pass
        except StoreError as error:
            raise _busy() from error
        found = self._read(owner)
        if found is None:
            raise _busy()
        return found

    def _unwrapped(self, owner: str, stored: bytes) -> _DataKey:
        read = _WRAPPED.fullmatch(stored)
        if read is None:
            raise Unreadable("its key is no wrapped key")
        name, key_id, raw = read[1].decode(), read[2].decode(), _bytes(read[3].decode())
        master = self._masters.get(name)
        if master is None:
            # Not lost: whoever gives the master key back reads again.
            raise RuntimeError(f"data are sealed under the master key {name!r}, which is not set")
        try:
            key = master.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _place(owner, key_id))
        except InvalidTag as error:
            raise Unreadable("its key was wrapped for another owner, or changed") from error
        return _DataKey(key_id, AESGCM(key), self._clock.monotonic() + KEPT_SECONDS)

    def _keep(self, owner: str, found: _DataKey) -> _DataKey:
        with self._lock:
            self._kept[owner] = found
            self._kept.move_to_end(owner)
            if len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)
        return found

    def _name(self, owner: str) -> str:
        if not _OWNER.fullmatch(owner):
            raise ValueError("an owner is named by an id")
        return f"{self._prefix}{owner}"


def _busy() -> Refused:
    return Refused(BUSY, retry_after_seconds=2)


def _place(collection: str, key: str) -> bytes:
    return f"{collection}\0{key}".encode()


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
