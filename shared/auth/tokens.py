"""Access tokens: JWTs of RFC 9068 (`typ` at+jwt), signed with ES256 and nothing else.

Checking a signature takes longer than a whole read; a phone sends the same token again and again.
So verified tokens are remembered by their SHA-256, in bounded number, until they expire or the
issuer's keys change. The token itself and the account ids in it are not kept.

A token with `act` (RFC 8693, section 4.1) is used for somebody else: `sub` is who is served, `act`
who acts. Its form is closed, and one that is not of that form is no token: read as if it had no
`act` it would let the one who acts pass for the person.
"""

import hashlib
import re
import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from shared.auth.acting import KINDS, Actor
from shared.auth.delegations import Seal
from shared.auth.keys import KeysUnavailable, SigningKeys
from shared.auth.subjects import SubjectOf
from shared.clock import Clock
from shared.errors import BUSY, UNAUTHENTICATED, Anonymous, Refused

ALGORITHM = "ES256"
TYPES = frozenset({"at+jwt", "application/at+jwt"})
LEEWAY_SECONDS = 30
TOKEN_CHARACTERS_MAX = 4096
ACCOUNT_CHARACTERS_MAX = 255
REMEMBERED_MAX = 20_000

_DELEGATION = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_BEARER = re.compile(r"[Bb]earer +([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks: a service's subject, what the app may do, and what the person is.

    With an `actor`, `subject` is the person who is served, and somebody else asks.
    """

    subject: str
    scopes: frozenset[str]
    roles: frozenset[str]
    actor: Actor | None = None

    @property
    def caller(self) -> str:
        """Whose claims and cursors these are: whoever acts for a person is another caller than the
        person, and than the next who acts.
        """
        return self.subject if self.actor is None else f"{self.subject} {self.actor.subject}"


NOBODY = Identity("", frozenset(), frozenset())
"""The identity on a public route, whatever the request carries."""


@dataclass(frozen=True, slots=True)
class _Verified:
    identity: Identity
    not_before: float
    expires: float
    generation: int


class TokenVerifier:
    """Turns an Authorization header into an `Identity`. Thread-safe.

    `audience` is the service's own name: a token for another service is refused. `seal` is for the
    delegations by which somebody acts.
    """

    def __init__(
        self,
        keys: SigningKeys,
        subject_of: SubjectOf,
        clock: Clock,
        *,
        issuer: str,
        audience: str,
        seal: Seal,
        remembered_max: int = REMEMBERED_MAX,
    ) -> None:
        self.keys = keys
        self.seal = seal
        self._subject_of = subject_of
        self._clock = clock
        self._issuer = issuer
        self._audience = audience
        self._remembered_max = remembered_max
        self._remembered: OrderedDict[bytes, _Verified] = OrderedDict()
        self._lock = threading.Lock()

    def identify(self, authorization: str | None) -> Identity:
        """Raises Refused: UNAUTHENTICATED, or BUSY while the issuer's keys were never read."""
        if not authorization:
            raise Anonymous
        bearer = _BEARER.fullmatch(authorization)
        if bearer is None or len(bearer[1]) > TOKEN_CHARACTERS_MAX:
            raise Refused(UNAUTHENTICATED)
        token = bearer[1].encode()
        name = hashlib.sha256(token).digest()
        self.keys.refresh_if_due()
        verified = self._recall(name)
        if verified is None:
            verified = self._verify(token)
            self._remember(name, verified)
        if not verified.not_before <= self._clock.now_ms() / 1000 < verified.expires:
            raise Refused(UNAUTHENTICATED)
        return verified.identity

    def _recall(self, name: bytes) -> _Verified | None:
        with self._lock:
            verified = self._remembered.get(name)
            if verified is None or verified.generation != self.keys.generation:
                return None
            self._remembered.move_to_end(name)
            return verified

    def _remember(self, name: bytes, verified: _Verified) -> None:
        with self._lock:
            self._remembered[name] = verified
            self._remembered.move_to_end(name)
            if len(self._remembered) > self._remembered_max:
                self._remembered.popitem(last=False)

    def _verify(self, token: bytes) -> _Verified:
        # Read before the key is: keys that change meanwhile make the result void, not valid.
        generation = self.keys.generation
        try:
            claims = self._claims(token)
            return _Verified(
                self._identity(claims),
                _instant(claims, "nbf", 0) - LEEWAY_SECONDS,
                _instant(claims, "exp", None) + LEEWAY_SECONDS,
                generation,
            )
        except KeysUnavailable as error:
            raise Refused(BUSY, retry_after_seconds=5) from error
        # A header that is no JSON object fails inside the library in ways of its own.
        except (
            JoseError,
            ValueError,
            TypeError,
            KeyError,
            AttributeError,
            RecursionError,
        ) as error:
            raise Refused(UNAUTHENTICATED) from error

    def _claims(self, token: bytes) -> dict[str, Any]:
        header = jws.extract_compact(token).headers()
        if header.get("alg") != ALGORITHM or str(header.get("typ", "")).lower() not in TYPES:
            raise ValueError("not an ES256 access token")
        key = self.keys.key(str(header.get("kid", "")))
        if key is None:
            raise ValueError("signed with an unknown key")
        return _payload(token, key)

    def _identity(self, claims: dict[str, Any]) -> Identity:
        audience, account = claims["aud"], claims["sub"]
        named = [audience] if isinstance(audience, str) else audience
        if claims["iss"] != self._issuer or self._audience not in _texts(named):
            raise ValueError("meant for another service, or from another issuer")
        subject = self._subject_of(_account(account))
        scopes = _texts([claims.get("scope", "")])[0].split()
        roles = _texts(claims.get("roles", []))
        actor = self._actor(claims["act"], account) if "act" in claims else None
        return Identity(subject, _set(*sorted(scopes)), _set(*sorted(roles)), actor)

    def _actor(self, act: Any, served: str) -> Actor:
        """Who acts. A chain of them (`act` within `act`) is refused, as is acting for oneself."""
        if not isinstance(act, dict) or act.keys() != {"sub", "kind", "delegation"}:
            raise ValueError("`act` is not of our form")
        account, kind, delegation = act["sub"], act["kind"], act["delegation"]
        if kind not in KINDS or _account(account) == served:
            raise ValueError("nobody acts so")
        if not isinstance(delegation, str) or not _DELEGATION.fullmatch(delegation):
            raise ValueError("no delegation")
        return Actor(self._subject_of(account), kind, self.seal.sealed(delegation))


def _payload(token: bytes, key: ECKey) -> dict[str, Any]:
    signed = jws.deserialize_compact(token, key, algorithms=[ALGORITHM])
    claims = orjson.loads(signed.payload or b"")
    if not isinstance(claims, dict):
        raise TypeError("the claims are no object")
    return claims


def _account(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= ACCOUNT_CHARACTERS_MAX:
        raise ValueError("no account")
    return value


# A few apps ask for a few sets of scopes: thousands of identities share them.
@lru_cache(maxsize=512)
def _set(*names: str) -> frozenset[str]:
    return frozenset(names)


def _texts(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("not a list of text")
    return value


def _instant(claims: dict[str, Any], name: str, default: int | None) -> float:
    """A NumericDate (RFC 7519, section 2), in seconds."""
    value = claims.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} is no date")
    return float(value)
