"""TLS by certificate files."""

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from infra.gateway import Tls
from tests.support.gateway import before
from tests.support.upstream import Upstream


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """A certificate for 127.0.0.1, signed by itself, in a folder whose name has a space."""
    directory = tmp_path_factory.mktemp("a certificate")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gateway")])
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = Tls(directory / "certificate.pem", directory / "key.pem")
    files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


def test_requests_travel_over_tls(tmp_path: Path, tls: Tls) -> None:
    with Upstream() as upstream, before(tmp_path, upstream, tls=tls) as gateway:
        answer = gateway.get("/commerce/v1/products")
        [line] = gateway.log()
    assert answer.status == 200
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert upstream.arrived[0].headers["x-forwarded-proto"] == "https"
    assert line["protocol"] == "HTTP/1.1"


def test_http_2_and_nothing_older_than_tls_1_2_is_offered(tmp_path: Path, tls: Tls) -> None:
    with Upstream() as upstream, before(tmp_path, upstream, tls=tls) as gateway:
        ours = ssl.create_default_context(cafile=str(tls.certificate))
        ours.set_alpn_protocols(["h2", "http/1.1"])
        with ours.wrap_socket(gateway.connect(), server_hostname="127.0.0.1") as connection:
            assert connection.selected_alpn_protocol() == "h2"
            assert connection.version() == "TLSv1.3"


def test_plain_http_on_the_tls_port_is_told_so(tmp_path: Path, tls: Tls) -> None:
    with Upstream() as upstream, before(tmp_path, upstream, tls=tls) as gateway:
        connection = HTTPConnection(*gateway.address, timeout=10)
        connection.request("GET", "/commerce/v1/products", headers={"Accept-Language": "en"})
        response = connection.getresponse()
        body = response.read()
        connection.close()
    assert response.status == 400
    assert response.getheader("Content-Type") == "application/problem+json"
    assert b"This port speaks HTTPS only" in body
    assert upstream.arrived == []
