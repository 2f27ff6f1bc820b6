"""A certificate and its key, taken from files that somebody else renews.

nginx reads one file of the gateway's own, with both in it, so that it never meets a certificate
beside another's key, nor a half that was just being written, nor anything that was not looked at.
"""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from infra.gateway import Tls


class Refused(Exception):  # noqa: N818 - a verdict
    """What is in the files cannot be served; the message says why."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate with its chain, and its key, PEM both, as found in files."""

    certificate: bytes
    key: bytes

    @property
    def ends(self) -> datetime:
        """When clients stop to believe it."""
        return _leaf(self.certificate).not_valid_after_utc


def found(files: Tls) -> Pair:
    """What the files hold now. Raises Refused."""
    try:
        return Pair(files.certificate.read_bytes(), files.key.read_bytes())
    except OSError as error:
        raise Refused(f"{error.filename}: {error.strerror}") from error


def store(pair: Pair, file: Path, now_ms: int) -> None:
    """Put both into `file`, whole, readable by the owner alone. Raises Refused, and then `file` is
    as it was.
    """
    draft = file.with_name(f"{file.name}.draft")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_bytes(pair.certificate.rstrip() + b"\n" + pair.key)
    _check(draft, pair.certificate, datetime.fromtimestamp(now_ms / 1000, UTC))
    draft.replace(file)


def _check(file: Path, certificate: bytes, now: datetime) -> None:
    try:
        # Whether the key is this certificate's, and neither needs a password.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(file, password="")
    except (ssl.SSLError, OSError, ValueError) as error:
        raise Refused(f"the certificate and the key cannot be used together: {error}") from error
    leaf = _leaf(certificate)
    if leaf.not_valid_after_utc <= now:
        raise Refused(f"the certificate ended on {leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")
    if leaf.not_valid_before_utc > now:
        raise Refused(f"the certificate begins on {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC")


def _leaf(certificate: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(certificate)
    except ValueError as error:
        raise Refused(f"the certificate cannot be read: {error}") from error
