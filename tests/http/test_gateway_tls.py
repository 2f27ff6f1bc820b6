"""TLS by certificate files."""

import ssl
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest

from infra.gateway import Tls
from infra.seaweed import free_ports
from shared.web.responses import NO_CONTENT_AT_ALL
from tests.support.certificate import self_signed
from tests.support.gateway import before
from tests.support.upstream import Upstream


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """Files in a folder whose name has a space."""
    return Tls(*self_signed(tmp_path_factory.mktemp("a certificate")))


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


def test_what_was_recorded_stays_closed_to_whoever_gets_the_key(tmp_path: Path) -> None:
    tls = Tls(*self_signed(tmp_path, by_rsa=True))
    with Upstream() as upstream, before(tmp_path, upstream, tls=tls) as gateway:

        def agree(ciphers: str) -> str:
            old = ssl.create_default_context(cafile=str(tls.certificate))
            old.maximum_version = ssl.TLSVersion.TLSv1_2
            old.set_ciphers(ciphers)
            with old.wrap_socket(gateway.connect(), server_hostname="127.0.0.1") as connection:
                agreed = connection.cipher()
            assert agreed is not None
            return agreed[0]

        assert agree("kRSA:ECDHE+AESGCM").startswith("ECDHE-RSA-AES")
        with pytest.raises(ssl.SSLError):
            agree("kRSA")


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


def test_what_is_read_over_plain_http_is_found_over_https(tmp_path: Path, tls: Tls) -> None:
    plain = f"127.0.0.1:{free_ports(1)[0]}"
    choices = {"tls": tls, "redirect_from": (plain,), "public_host": "gansu.example:8443"}
    with Upstream() as upstream, before(tmp_path, upstream, **choices):
        answers = {
            method: asked(plain, method, "/commerce/v1/products?q=%E7%99%BE")
            for method in ("GET", "HEAD", "POST")
        }
        health = asked(plain, "GET", "/gateway/health/live")
        front = asked(plain, "GET", "/")
    assert (front.status, front.headers["location"]) == (308, "https://gansu.example:8443/")
    assert front.headers["content-security-policy"] == NO_CONTENT_AT_ALL
    there = "https://gansu.example:8443/commerce/v1/products?q=%E7%99%BE"
    for method in ("GET", "HEAD"):
        assert answers[method].status == 308
        assert answers[method].getheader("Location") == there
    # Whoever has sent a token in clear is told, not helped to do it again.
    assert answers["POST"].status == 400
    assert answers["POST"].getheader("Content-Type") == "application/problem+json"
    assert health.status == 200
    assert upstream.arrived == []


def asked(address: str, method: str, target: str) -> HTTPResponse:
    connection = HTTPConnection(address, timeout=10)
    connection.request(method, target, headers={"Host": "evil.example"})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response


def test_it_is_reached_over_ipv6(tmp_path: Path) -> None:
    port = free_ports(1)[0]
    with Upstream() as upstream, before(tmp_path, upstream, also_listen=(f"[::1]:{port}",)):
        connection = HTTPConnection("::1", port, timeout=10)
        connection.request("GET", "/commerce/v1/products")
        assert connection.getresponse().status == 200
        connection.close()
    assert upstream.arrived[0].headers["x-forwarded-for"] == "::1"
