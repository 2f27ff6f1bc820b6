"""AWS Signature Version 4 for S3: which headers make a request ours. Pure; no I/O, no clock.

As specified in "Signature Calculations for the Authorization Header" (Amazon S3 API Reference).
It stands here, rather than botocore's signer, because a request signed and sent by boto3 costs
1.5 ms of CPU and the engine makes hundreds a second beside its real work (docs/decisions/0004).
botocore's signer is the oracle of its tests.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

_EMPTY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who signs; `token` belongs to temporary credentials."""

    access_key: str
    secret_key: str
    token: str = ""


def quote_path(path: str) -> str:
    """A path as S3 wants it on the wire and in the signature: encoded once, slashes kept."""
    return quote(path, safe="/-_.~")


def quote_query(parameters: dict[str, str]) -> str:
    """A query as S3 wants it on the wire and in the signature: sorted, strictly encoded."""
    pairs = sorted((quote(k, safe="-_.~"), quote(v, safe="-_.~")) for k, v in parameters.items())
    return "&".join(f"{key}={value}" for key, value in pairs)


class Signer:
    """Signs requests for one region. Thread-safe: the day's key is kept, as a whole tuple."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._key: tuple[str, str, bytes] = ("", "", b"")

    def sign(
        self,
        method: str,
        path: str,
        query: str,
        headers: dict[str, str],
        body: bytes,
        credentials: Credentials,
        now_ms: int,
    ) -> dict[str, str]:
        """All headers to send: `headers` (lower-case names, `host` among them) and the signature.

        `path` and `query` come from `quote_path` and `quote_query`. The body is always part of
        what is signed, so that a damaged upload is refused by the store.
        """
        stamp = datetime.fromtimestamp(now_ms // 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
        digest = hashlib.sha256(body).hexdigest() if body else _EMPTY
        signed = {**headers, "x-amz-content-sha256": digest, "x-amz-date": stamp}
        if credentials.token:
            signed["x-amz-security-token"] = credentials.token
        names = sorted(signed)
        lines = "".join([f"{name}:{signed[name]}\n" for name in names])
        listed = ";".join(names)
        canonical = f"{method}\n{path}\n{query}\n{lines}\n{listed}\n{digest}"
        scope = f"{stamp[:8]}/{self._region}/s3/aws4_request"
        to_sign = (
            f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        )
        key = self._signing_key(stamp[:8], credentials.secret_key)
        signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
        signed["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope},"
            f" SignedHeaders={listed}, Signature={signature}"
        )
        return signed

    def _signing_key(self, day: str, secret: str) -> bytes:
        kept_day, kept_secret, key = self._key
        if kept_day != day or kept_secret != secret:
            key = f"AWS4{secret}".encode()
            for part in (day, self._region, "s3", "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._key = (day, secret, key)
        return key
