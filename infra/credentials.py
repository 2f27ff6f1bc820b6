"""Secrets of one machine's platform: made once, kept in a file that only its owner may read.

The keys have to outlive a restart: documents are found through the subject key, and the store
knows its own clients.
"""

import hashlib
import hmac
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from shared.clock import Clock


@dataclass(frozen=True, slots=True)
class Credentials:
    """Text without spaces; the keys have 256 bits."""

    store_access_key: str
    store_secret_key: str
    master_key: str

    def key_of(self, service: str, purpose: str) -> str:
        """A service's own key for one purpose: 64 hex digits that follow from the master key."""
        message = f"{service} {purpose}".encode()
        return hmac.digest(self.master_key.encode(), message, hashlib.sha256).hex()


def load_or_make(path: Path, clock: Clock) -> Credentials:
    """The secrets in `path`, made first where there are none. Raises ValueError on a file that is
    something else.
    """
    if not path.exists():
        _store(path, _made(clock))
    try:
        return Credentials(**json.loads(path.read_text()))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} does not hold this platform's secrets") from error


def _made(clock: Clock) -> Credentials:
    secret, master = clock.random(32).hex(), clock.random(32).hex()
    return Credentials("gansu", secret, master)


def _store(path: Path, credentials: Credentials) -> None:
    # Written whole or not at all: half a file would lock the owner out of the store for good.
    draft = path.with_name(f"{path.name}.draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(asdict(credentials), file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
