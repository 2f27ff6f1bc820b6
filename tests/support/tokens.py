"""Access tokens as a province's issuer would sign them, and as somebody else would forge them."""

import base64
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.jwk import ECKey

from infra.services import SERVICES
from shared.auth.delegations import Seal
from shared.auth.keys import SigningKeys
from shared.auth.subjects import subjects
from shared.auth.tokens import TokenVerifier
from shared.clock import Clock

ISSUER = "https://identity.gansu.example"
SUBJECT_KEY = b"a subject key that only tests know, 32+"
ALL_SCOPES = (
    "orders:read orders:write stores:read stores:write"
    " sessions:read sessions:write tickets:read tickets:write tickets:check"
    " schedules:read schedules:write appointments:read appointments:write appointments:check"
    " account:read account:write staff:write roles:read roles:write delegations:read"
    " delegations:write clients:read clients:write"
)
ALL_ROLES = ("citizen", "merchant")
ROLES = {
    "citizen": ["citizen"],
    "merchant": ["citizen", "merchant"],
    "operator": ["operator"],
    "scenic": ["scenic_staff"],
    "gate": ["gate"],
    "hospital": ["hospital_staff"],
    "clinician": ["clinician"],
    "station": ["station_agent"],
    "security": ["security"],
    "auditor": ["auditor"],
    "partner": ["partner"],
}
"""What an account is whose name begins so."""

EVERYONE = sorted({role for roles in ROLES.values() for role in roles})


def roles_of(account: str) -> list[str]:
    """The roles of an account; all there are for one whose name says nothing."""
    return ROLES.get(account.partition("-")[0], EVERYONE)


def new_key(kid: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": kid, "use": "sig", "alg": "ES256"})


def jwks(*keys: ECKey) -> bytes:
    """A JWKS document of the keys' public halves."""
    return orjson.dumps({"keys": [key.as_dict(private=False) for key in keys]})


class Issuer:
    """Signs tokens, and publishes its keys; `down` makes its JWKS unreachable."""

    def __init__(self, clock: Clock, issuer: str = ISSUER) -> None:
        self.clock = clock
        self.issuer = issuer
        self.key = new_key("first")
        self.published = jwks(self.key)
        self.fetches = 0
        self.down = False

    def source(self) -> bytes:
        self.fetches += 1
        if self.down:
            raise OSError("the issuer is down")
        return self.published

    def verifier(
        self, *, audience: str = "commerce", key: bytes = SUBJECT_KEY, **options: Any
    ) -> TokenVerifier:
        keys = SigningKeys(self.source, self.clock)
        return TokenVerifier(
            keys,
            subjects(key),
            self.clock,
            issuer=self.issuer,
            audience=audience,
            seal=Seal(key),
            **options,
        )

    def claims(self, account: str, **changes: Any) -> dict[str, Any]:
        """What a good token says; a change to None leaves that claim out."""
        now = self.clock.now_ms() // 1000
        claims = {
            "iss": self.issuer,
            "sub": account,
            "aud": list(SERVICES),
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
            "scope": ALL_SCOPES,
            "roles": list(ALL_ROLES),
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, account: str, *, key: ECKey | None = None, **changes: Any) -> str:
        """A good token, but for what is changed; `header` changes its header."""
        signing = key or self.key
        header = {"alg": "ES256", "typ": "at+jwt", "kid": signing.kid, **changes.pop("header", {})}
        return signed(header, self.claims(account, **changes), signing)


def segment(value: object) -> str:
    """A part of a token: base64url of the bytes, or of the value as JSON."""
    raw = value if isinstance(value, bytes) else orjson.dumps(value)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def signed(header: object, claims: object, key: ECKey) -> str:
    """A token with an ES256 signature (RFC 7518, section 3.4), whatever its header says."""
    unsigned = f"{segment(header)}.{segment(claims)}"
    assert key.private_key is not None
    der = key.private_key.sign(unsigned.encode(), ECDSA(SHA256()))
    r, s = decode_dss_signature(der)
    return f"{unsigned}.{segment(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"
