"""A certificate for this machine's loopback that signs itself."""

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

_CURVE = ec.SECP256R1()


def self_signed(
    directory: Path,
    hosts: Sequence[str] = ("localhost",),
    /,
    *,
    begins: int = -2,
    ends: int = 1,
    by_rsa: bool = False,
) -> tuple[Path, Path]:
    """The files of a certificate and of its key, good for an hour, or from and until so many hours
    from now; for loopback's addresses and these names.
    """
    key = rsa.generate_private_key(65537, 2048) if by_rsa else ec.generate_private_key(_CURVE)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    names: list[x509.GeneralName] = [
        *(x509.DNSName(host) for host in hosts),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.IPAddress(ipaddress.ip_address("::1")),
    ]
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(hours=begins))
        .not_valid_after(now + timedelta(hours=ends))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = directory / "certificate.pem", directory / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate_file, key_file
