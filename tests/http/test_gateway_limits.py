"""What the gateway refuses, and that it does so in a problem document of the caller's language."""

import contextlib
import json
import re
import socket
import threading
import time
from collections import Counter
from http.client import HTTPConnection
from pathlib import Path

import pytest

from infra.gateway import Rate, Service
from shared.web.routes import Binary
from tests.support.gateway import Answered, GatewayServer, before
from tests.support.houses import EVERY_ROUTE
from tests.support.upstream import Reply, Upstream
from tests.support.waiting import wait_until

ORDERS = "/commerce/v1/orders"


def bearer(letter: str) -> str:
    """Something of the shape of an ES256 token, one for each letter."""
    return f"Bearer {letter}.{letter}.{letter * 86}"


def assert_problem(answer: Answered, status: int, slug: str, title_en: str) -> None:
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-language"] == "en"
    assert answer.json() == {
        "type": f"/problems/{slug}",
        "title": title_en,
        "status": status,
        "request_id": answer.headers["x-request-id"],
    }


def parsed(response: bytes) -> Answered:
    head, _, body = response.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return Answered(int(first.split()[1]), headers, body)


def raw(gateway: GatewayServer, request: bytes) -> Answered:
    return parsed(gateway.raw(request))


def test_an_unknown_prefix_is_not_found(tmp_path: Path) -> None:
    with Upstream() as upstream, before(tmp_path, upstream) as gateway:
        for target in (
            "//",
            "/nowhere",
            "/commerce",
            "/commercial/v1",
            "//commerce/v1",
            "/problems",
        ):
            assert_problem(gateway.get(target, accept_language="en"), 404, "not-found", "Not found")
        chinese = gateway.get("/nowhere")
    assert chinese.headers["content-language"] == "zh-CN"
    assert chinese.json()["title"] == "未找到"
    assert upstream.arrived == []


def test_a_large_body_is_refused_before_the_service(tmp_path: Path) -> None:
    with Upstream() as upstream, before(tmp_path, upstream) as gateway:
        fits = gateway.request("POST", ORDERS, body=b"x" * 65536)
        large = gateway.request("POST", ORDERS, {"Accept-Language": "en"}, b"x" * 65537)
        chunk = b"10001\r\n" + b"x" * 65537 + b"\r\n0\r\n\r\n"
        head = b"POST /commerce/v1/orders HTTP/1.1\r\nHost: h\r\nAccept-Language: en\r\n"
        chunked = raw(
            gateway, head + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk
        )
    assert fits.status == 200
    for answer in (large, chunked):
        assert_problem(answer, 413, "too-large", "The request is too large")
    assert len(upstream.arrived) == 1


PICTURE = "/commerce/v1/products/lily/picture"


def test_a_picture_may_be_larger_than_another_body(tmp_path: Path) -> None:
    known = {"Accept-Language": "en", "Authorization": bearer("a")}
    services = ("commerce", "tourism")
    with (
        Upstream() as upstream,
        before(
            tmp_path, services=tuple(Service(name, (upstream.address,)) for name in services)
        ) as gateway,
    ):
        fits = gateway.request("POST", PICTURE, known, b"x" * (5 << 20))
        large = gateway.request("POST", PICTURE, known, b"x" * (5 << 20) + b"x")
        others = (f"{PICTURE}/removal", f"{PICTURE}s", PICTURE.replace("commerce", "tourism"))
        for other in (*others, "/commerce/v1/picture", "/commerce/v1/stores/lily/picture"):
            answer = gateway.request("POST", other, known, b"x" * 65537)
            assert_problem(answer, 413, "too-large", "The request is too large")
    assert fits.status == 200
    assert_problem(large, 413, "too-large", "The request is too large")
    assert [len(arrived.body) for arrived in upstream.arrived] == [5 << 20]


def test_what_takes_a_picture_is_what_the_gateway_lets_through() -> None:
    taking = {
        each.route.address
        for each in EVERY_ROUTE
        if isinstance(each.route.body, Binary) and each.route.body.bytes_max > 65536
    }
    assert taking
    for each in EVERY_ROUTE:
        pattern = Service(each.house.name, ("a:1",)).uploads
        found = bool(pattern and re.fullmatch(pattern, each.path))
        assert found == (each.route.address in taking), each.name


@pytest.mark.parametrize(
    ("shown", "challenge"), [("", "Bearer"), ("Bearer x", 'Bearer error="invalid_token"')]
)
def test_nobody_sends_a_picture_without_a_token(tmp_path: Path, shown: str, challenge: str) -> None:
    with Upstream() as upstream, before(tmp_path, upstream) as gateway:
        connection = HTTPConnection(*gateway.address, timeout=10)
        connection.putrequest("POST", PICTURE)
        connection.putheader("Content-Length", str(5 << 20))
        connection.putheader("Authorization", shown)
        connection.endheaders()
        # Nothing of it is here yet.
        response = connection.getresponse()
        said = json.loads(response.read())
        connection.close()
    assert response.status == said["status"] == 401
    assert response.getheader("WWW-Authenticate") == challenge
    assert upstream.arrived == []


def test_pictures_under_way_are_bounded_for_each_address_and_in_all(tmp_path: Path) -> None:
    choices = {"address_uploads": 2, "uploads_max": 3, "proxies": ("127.0.0.0/8",)}
    with Upstream() as upstream, before(tmp_path, upstream, **choices) as gateway:

        def begin(address: str, letter: str) -> socket.socket:
            """All of a picture but its last byte; the connection stays open."""
            connection = gateway.connect()
            head = f"POST {PICTURE} HTTP/1.1\r\nHost: a\r\nAuthorization: {bearer(letter)}\r\n"
            sent = f"{head}X-Forwarded-For: {address}\r\nContent-Length: 99\r\n\r\n"
            connection.sendall(sent.encode() + b"x" * 98)
            return connection

        def status(address: str) -> int:
            headers = {"Authorization": bearer("z"), "X-Forwarded-For": address}
            answer = gateway.request("POST", PICTURE, headers, b"x" * 70_000)
            assert answer.status == answer.json().get("status", 200)
            return answer.status

        with begin("203.0.113.1", "a"), begin("203.0.113.1", "b"):
            wait_until(lambda: status("203.0.113.1") == 429, "two of one address")
            assert status("203.0.113.2") == 200
            with begin("203.0.113.2", "c"):
                wait_until(lambda: status("203.0.113.3") == 429, "three in all")
                other = {"Authorization": bearer("z"), "X-Forwarded-For": "203.0.113.1"}
                assert gateway.request("POST", ORDERS, other, b"x").status == 200
        wait_until(lambda: status("203.0.113.1") == 200, "they are gone")


def test_an_address_of_ipv6_counts_by_its_network(tmp_path: Path) -> None:
    choices = {"anonymous_rate": Rate(1, 2), "proxies": ("127.0.0.0/8",)}
    with Upstream() as upstream, before(tmp_path, upstream, **choices) as gateway:

        def statuses(*addresses: str) -> Counter[int]:
            return Counter(
                gateway.get(ORDERS, x_forwarded_for=address).status for address in addresses
            )

        one = statuses(*(f"2001:db8:1:2:{number:x}::a" for number in range(1, 31)))
        assert one[429] > one[200]
        # Bytes that end a line or a text in other languages are bytes like any other.
        odd = statuses(*(f"2001:db8:a00:d0a::{number:x}" for number in range(0x09FD, 0x0A1B)))
        assert odd[429] > odd[200]
        assert statuses(*(f"2001:db8:2:{number:x}::a" for number in range(30))) == {200: 30}
        # What a proxy of both kinds writes of IPv4: each of them is somebody else.
        assert statuses(*(f"::ffff:203.0.113.{number}" for number in range(30))) == {200: 30}
        assert statuses(*(f"64:ff9b::198.51.100.{number}" for number in range(30))) == {200: 30}
        same = ("192.0.2.1", "::ffff:192.0.2.1", "64:ff9b::192.0.2.1")
        assert statuses(*same * 5)[429] > 5


@pytest.mark.parametrize(
    "headers",
    [{"X-Padding": "x" * 9000}, {f"X-{number}": "x" for number in range(80)}],
    ids=["one of 9 kB", "eighty"],
)
def test_large_or_many_headers_are_refused(tmp_path: Path, headers: dict[str, str]) -> None:
    with Upstream() as upstream, before(tmp_path, upstream) as gateway:
        answer = gateway.request("GET", ORDERS, {"Accept-Language": "en", **headers})
    assert_problem(answer, 431, "headers-too-large", "The headers are too large")
    assert upstream.arrived == []


def test_a_long_address_is_refused(tmp_path: Path) -> None:
    with Upstream() as upstream, before(tmp_path, upstream) as gateway:
        fits = gateway.get(ORDERS + "?" + "x" * (3072 - len(ORDERS) - 1))
        answer = gateway.get(ORDERS + "?" + "x" * 3072, accept_language="en")
    assert fits.status == 200
    assert_problem(answer, 414, "uri-too-long", "The address is too long")
    assert len(upstream.arrived) == 1


@pytest.mark.parametrize("method", ["TRACE", "PROPFIND", "X"])
def test_other_methods_are_refused(tmp_path: Path, method: str) -> None:
    with Upstream() as upstream, before(tmp_path, upstream) as gateway:
        answer = gateway.request(method, ORDERS, {"Accept-Language": "en"})
    assert_problem(answer, 405, "method-not-allowed", "This address has no such method")
    declared = {each.route.method for each in EVERY_ROUTE}
    assert set(answer.headers["allow"].split(", ")) == declared | {"HEAD"}
    assert upstream.arrived == []


@pytest.mark.parametrize(
    "line",
    [
        "CONNECT /commerce/v1/orders HTTP/1.1",
        "GET /commerce/%00 HTTP/1.1",
        "GET /commerce/%zz HTTP/1.1",
        "GET /commerce/../../etc/passwd HTTP/1.1",
        "GET /commerce/v1/products?q=\xe7\x99\xbe\xe5\x90\x88 HTTP/1.1",
        "GET commerce HTTP/1.1",
        "lower /commerce/v1/orders HTTP/1.1",
        "\x16\x03\x01\x02",
        "GET /" + "x" * 40000 + " HTTP/1.1",
    ],
    ids=[
        "connect",
        "nul",
        "no hex",
        "above root",
        "raw UTF-8",
        "relative",
        "lower case",
        "tls",
        "endless",
    ],
)
def test_a_request_line_that_cannot_be_read_is_refused(tmp_path: Path, line: str) -> None:
    with Upstream() as upstream, before(tmp_path, upstream) as gateway:
        answer = raw(gateway, line.encode("latin-1") + b"\r\nHost: a\r\n\r\n")
    assert answer.status in {400, 414}
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status
    assert upstream.arrived == []


@pytest.mark.parametrize("name", ["Authorization", "Idempotency-Key", "If-None-Match"])
@pytest.mark.parametrize("character", ["\x01", "\x1f", "\x7f"])
def test_a_control_character_in_a_header_is_refused(
    tmp_path: Path, name: str, character: str
) -> None:
    head = f"GET {ORDERS} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAccept-Language: en\r\n"
    with Upstream() as upstream, before(tmp_path, upstream) as gateway:
        answer = raw(gateway, f"{head}{name}: a{character}b\r\n\r\n".encode())
    assert_problem(answer, 400, "malformed-request", "The request cannot be parsed")
    assert upstream.arrived == []


@pytest.mark.parametrize(
    "headers",
    [
        "",
        "Host: a\r\nHost: b\r\n",
        "Host: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
        "Host: a\r\nContent-Length: -1\r\n",
        "Host: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n",
    ],
    ids=["no host", "two hosts", "two lengths", "negative length", "length and chunks"],
)
def test_a_malformed_request_is_refused(tmp_path: Path, headers: str) -> None:
    with Upstream() as upstream, before(tmp_path, upstream) as gateway:
        head = f"POST {ORDERS} HTTP/1.1\r\nAccept-Language: en\r\n{headers}\r\n"
        answer = raw(gateway, head.encode() + b"0\r\n\r\n")
    assert_problem(answer, 400, "malformed-request", "The request cannot be parsed")
    assert upstream.arrived == []


def test_an_unknown_transfer_coding_is_refused(tmp_path: Path) -> None:
    head = f"POST {ORDERS} HTTP/1.1\r\nAccept-Language: en\r\nHost: a\r\n"
    with Upstream() as upstream, before(tmp_path, upstream) as gateway:
        answer = raw(gateway, f"{head}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n".encode())
    slug, title = "transfer-coding-unknown", "This Transfer-Encoding is not supported"
    assert_problem(answer, 501, slug, title)
    assert upstream.arrived == []


def test_an_unknown_version_of_http_is_refused(tmp_path: Path) -> None:
    with Upstream() as upstream, before(tmp_path, upstream) as gateway:
        answer = raw(gateway, f"GET {ORDERS} HTTP/4.0\r\nHost: a\r\n\r\n".encode())
    assert answer.status == answer.json()["status"] == 505
    assert answer.headers["content-type"] == "application/problem+json"
    assert upstream.arrived == []


def test_a_service_that_is_gone_is_a_502(tmp_path: Path) -> None:
    with Upstream() as gone:
        pass
    with before(tmp_path, gone) as gateway:
        answer = gateway.get(ORDERS, accept_language="en")
    assert_problem(
        answer,
        502,
        "service-unreachable",
        "The service cannot be reached; repeat the request with the same Idempotency-Key",
    )
    assert answer.headers["retry-after"] == "2"


def test_a_service_that_keeps_silent_is_a_504(tmp_path: Path) -> None:
    over = threading.Event()

    def silent(_: object) -> Reply:
        over.wait(10)
        return Reply()

    with Upstream(silent) as upstream, before(tmp_path, upstream, answer_seconds=1) as gateway:
        answer = gateway.get(ORDERS, accept_language="en")
        over.set()
    assert_problem(
        answer,
        504,
        "service-timeout",
        "The service did not answer in time; repeat the request with the same Idempotency-Key",
    )


def test_a_services_own_problem_passes_unchanged(tmp_path: Path) -> None:
    reply = Reply(503, {"Content-Type": "application/problem+json", "Retry-After": "7"}, b'{"x":1}')
    with Upstream(lambda _: reply) as upstream, before(tmp_path, upstream) as gateway:
        answer = gateway.get(ORDERS)
    assert (answer.status, answer.headers["retry-after"], answer.body) == (503, "7", b'{"x":1}')


def test_a_credential_is_limited_and_its_neighbours_are_not(tmp_path: Path) -> None:
    """A village shares one address; one of its phones runs wild."""
    with (
        Upstream() as upstream,
        before(tmp_path, upstream, credential_rate=Rate(1, 4)) as gateway,
    ):
        wild = [
            gateway.get(ORDERS, accept_language="en", authorization=bearer("a")) for _ in range(12)
        ]
        calm = [gateway.get(ORDERS, authorization=bearer(letter)) for letter in "bcdefghijkl"]
        anonymous = gateway.get(ORDERS)
    refused = [answer for answer in wild if answer.status == 429]
    assert 6 <= len(refused) <= 7
    assert_problem(refused[0], 429, "too-many-requests", "Too many requests")
    assert refused[0].headers["retry-after"] == "1"
    assert {answer.status for answer in [*calm, anonymous]} == {200}
    assert len(upstream.arrived) == 24 - len(refused)


def test_a_credential_may_go_on_after_the_time_that_it_was_told(tmp_path: Path) -> None:
    with (
        Upstream() as upstream,
        before(tmp_path, upstream, credential_rate=Rate(1, 0)) as gateway,
    ):
        statuses = [gateway.get(ORDERS, authorization=bearer("a")).status for _ in range(2)]
        time.sleep(1.1)  # Retry-After
        statuses.append(gateway.get(ORDERS, authorization=bearer("a")).status)
    assert statuses == [200, 429, 200]


@pytest.mark.parametrize("made_up", [False, True], ids=["anonymous", "made-up credentials"])
def test_whoever_shows_no_token_is_limited_by_address(tmp_path: Path, made_up: bool) -> None:
    with Upstream() as upstream, before(tmp_path, upstream, anonymous_rate=Rate(1, 9)) as gateway:
        headers = [{"Authorization": f"Bearer {n}"} if made_up else {} for n in range(20)]
        counts = Counter(gateway.request("GET", ORDERS, each).status for each in headers)
        citizen = gateway.get(ORDERS, authorization=bearer("a"))
    assert counts[429] >= 9
    assert counts[200] >= 10
    assert citizen.status == 200


def test_tokens_that_are_made_up_meet_the_bound_on_the_address(tmp_path: Path) -> None:
    with Upstream() as upstream, before(tmp_path, upstream, address_rate=Rate(1, 9)) as gateway:
        letters = "abcdefghijklmnopqrst"
        counts = Counter(gateway.get(ORDERS, authorization=bearer(c)).status for c in letters)
    assert counts[429] >= 9
    assert counts[200] >= 10


@pytest.mark.parametrize("proxies", [(), ("127.0.0.0/8", "10.9.0.0/16")], ids=["none", "named"])
def test_clients_behind_a_proxy_are_told_apart_where_it_is_named(
    tmp_path: Path, proxies: tuple[str, ...]
) -> None:
    """Each by the last address that is no proxy's; whatever stands left of it is made up."""
    with (
        Upstream() as upstream,
        before(tmp_path, upstream, anonymous_rate=Rate(1, 0), proxies=proxies) as gateway,
    ):
        said = [f"203.0.113.9, 198.51.100.{client}, 10.9.0.1" for client in (1, 2, 2)]
        statuses = [
            gateway.request("GET", ORDERS, {"X-Forwarded-For": each}).status for each in said
        ]
    told = [request.headers["x-forwarded-for"] for request in upstream.arrived]
    if proxies:
        assert statuses == [200, 200, 429]
        assert told == ["198.51.100.1", "198.51.100.2"]
    else:
        assert statuses == [200, 429, 429]
        assert told == ["127.0.0.1"]


def test_a_client_that_dawdles_is_let_go(tmp_path: Path) -> None:
    """Neither its headers nor its body may hold a connection; the service never hears of it."""
    with Upstream() as upstream, before(tmp_path, upstream, client_seconds=1) as gateway:
        began = time.monotonic()
        for start in (
            b"GET /commerce/v1/orders HTTP/1.1\r\nHost: a\r\n",
            b"POST /commerce/v1/orders HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx",
        ):
            with contextlib.suppress(ConnectionResetError):
                gateway.raw(start, timeout_seconds=5)
    assert time.monotonic() - began < 5
    assert upstream.arrived == []


def test_connections_of_one_address_are_bounded(tmp_path: Path) -> None:
    held = threading.Event()

    def slow(_: object) -> Reply:
        held.wait(10)
        return Reply()

    with Upstream(slow) as upstream, before(tmp_path, upstream, address_connections=2) as gateway:
        request = f"GET {ORDERS} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
        waiting = [socket.create_connection(gateway.address) for _ in range(2)]
        for connection in waiting:
            connection.sendall(request)
        answer = gateway.get(ORDERS)
        held.set()
        for connection in waiting:
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
            connection.close()
    assert answer.status == 429


def test_the_log_is_json_whatever_a_client_sends(tmp_path: Path) -> None:
    with Upstream() as upstream, before(tmp_path, upstream) as gateway:
        gateway.get('/commerce/"%0a%22\\x', user_agent='"}\n'.strip())
        [line] = gateway.log()
    assert line["path"] == '/commerce/"\n"\\x'
