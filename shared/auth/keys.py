"""The issuer's public keys: a JWKS (RFC 7517) from a URL or a file, fetched again when it is due.

A token signed with an unknown key makes the set be fetched anew, but not more often than once in
`RETRY_SECONDS`, so that made-up key ids cost the issuer little. Otherwise it is fetched every
`REFRESH_SECONDS`, so that a withdrawn key stops working. While the issuer is down the last good
set goes on: nobody is signed out by an outage.
"""

import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPException
from pathlib import Path

import orjson
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from shared import waiting
from shared.clock import Clock
from shared.condition import Finding

REFRESH_SECONDS = 300.0
RETRY_SECONDS = 10.0
FIRST_RETRY_SECONDS = 0.5
"""While none was ever read: a service looks as it starts, and the issuer may start a moment later.
"""

FETCH_SECONDS = 3.0
DOCUMENT_BYTES_MAX = 64 << 10

STALE_SECONDS = 2 * REFRESH_SECONDS
"""Keys that were last read so long ago are told of: a withdrawn one would still be good."""

_PUBLIC: tuple[str, ...] = ("kty", "crv", "x", "y", "kid")

Source = Callable[[], bytes]
"""Reads the JWKS document. Raises OSError or ValueError where it cannot be had."""


class KeysUnavailable(Exception):  # noqa: N818 - a state of affairs, told to the caller as BUSY
    """No key set has been read yet."""


def source_of(location: str) -> Source:
    """A source for a URL or an absolute path."""
    if location.startswith("/"):
        return lambda: Path(location).read_bytes()

    def fetch() -> bytes:
        try:
            # The location is an operator's setting, checked to be http(s).
            with urllib.request.urlopen(location, timeout=FETCH_SECONDS) as answer:  # noqa: S310
                document: bytes = answer.read(DOCUMENT_BYTES_MAX + 1)
        except urllib.error.HTTPError as refusal:
            refusal.close()  # it is an answer as well, and holds the connection
            raise
        return document

    return fetch


class SigningKeys:
    """The current keys by key id. Thread-safe; one thread fetches, the others go on.

    `generation` changes with the keys: what was concluded from an older one is void.
    """

    def __init__(self, source: Source, clock: Clock) -> None:
        self.generation = 0
        self._source = source
        self._clock = clock
        self._keys: Mapping[str, ECKey] = {}
        self._tried_at = float("-inf")
        self._fetched_at = float("-inf")
        self._fetching = threading.Lock()

    def refresh_if_due(self) -> None:
        """Fetch the keys again where their time has come. A failure leaves the old ones."""
        if self._clock.monotonic() - self._fetched_at > REFRESH_SECONDS:
            waiting.apart(self._fetch)

    def key(self, kid: str) -> ECKey | None:
        """The key of that id, or None. Raises KeysUnavailable where none was ever read."""
        if kid not in self._keys:
            waiting.apart(self._fetch)
        if not self._keys:
            raise KeysUnavailable
        return self._keys.get(kid)

    def available(self) -> bool:
        """Whether tokens can be verified."""
        self.refresh_if_due()
        return bool(self._keys)

    # `condition.Part`

    def look(self) -> None:
        """Read them again if that is due."""
        self.refresh_if_due()

    def findings(self) -> Sequence[Finding]:
        if not self._keys:
            return [Finding("keys", "degraded", "no keys of the issuer were read yet", _ADVICE)]
        age = self._clock.monotonic() - self._fetched_at
        said = f"{len(self._keys)} keys of the issuer, read {age:.0f} s ago"
        # Where nobody signs in they are not read; who looks has just tried.
        if age > STALE_SECONDS and self._tried_at > self._fetched_at:
            return [Finding("keys", "degraded", said, _ADVICE)]
        return [Finding("keys", "ok", said)]

    def stuck(self) -> Sequence[str]:
        return ()

    def _fetch(self) -> None:
        # Who finds another fetching does not wait, unless there is nothing yet to go on with.
        if not self._fetching.acquire(blocking=not self._keys):
            return
        try:
            pause = RETRY_SECONDS if self._keys else FIRST_RETRY_SECONDS
            if self._clock.monotonic() - self._tried_at > pause:
                self._replace(_parsed(self._source()))
        except (OSError, HTTPException, ValueError):
            self._tried_at = self._clock.monotonic()
        finally:
            self._fetching.release()

    def _replace(self, keys: Mapping[str, ECKey]) -> None:
        if _prints(keys) != _prints(self._keys):
            self._keys = keys
            self.generation += 1
        self._tried_at = self._fetched_at = self._clock.monotonic()


_ADVICE = (
    "Look at GANSU_JWKS and at identity. Without keys nobody's token can be read; with old ones"
    " people stay signed in, and a key that was withdrawn goes on."
)


def _prints(keys: Mapping[str, ECKey]) -> dict[str, str]:
    return {kid: key.thumbprint() for kid, key in keys.items()}


def _parsed(document: bytes) -> Mapping[str, ECKey]:
    """The P-256 signing keys of a JWKS; others are passed over. Raises ValueError without one."""
    if len(document) > DOCUMENT_BYTES_MAX:
        raise ValueError("the key set is too large")
    members = orjson.loads(document)
    listed = members.get("keys") if isinstance(members, dict) else None
    if not isinstance(listed, list):
        raise ValueError("not a key set")
    keys = {str(jwk["kid"]): _imported(jwk) for jwk in listed if _signs_es256(jwk)}
    if not keys:
        raise ValueError("the key set has no ES256 key")
    return keys


def _signs_es256(jwk: object) -> bool:
    return (
        isinstance(jwk, dict)
        and jwk.get("kty") == "EC"
        and jwk.get("crv") == "P-256"
        and jwk.get("use", "sig") == "sig"
        and jwk.get("alg", "ES256") == "ES256"
        and isinstance(jwk.get("kid"), str)
    )


def _imported(jwk: dict[str, str]) -> ECKey:
    try:
        # Only the public half: a source that gives more must not make us hold it.
        return ECKey.import_key({name: jwk[name] for name in _PUBLIC if name in jwk})
    except JoseError as error:
        raise ValueError("a key of the set cannot be used") from error
