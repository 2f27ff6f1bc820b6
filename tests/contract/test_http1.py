"""The HTTP client under the object store, against a server that misbehaves to order."""

import socket
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.seaweed import free_ports
from shared.clock import SystemClock
from shared.storage import http1
from shared.storage.http1 import Answer, Http, NoAnswer
from tests.support.certificate import self_signed
from tests.support.clock import FakeClock
from tests.support.stub_http import Reply, Request, StubHttp, always, answer

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"4\r\nWiki\r\n6;x=y\r\npedia \r\n0\r\nT: 1\r\n\r\n"
)


def get(reply: Reply) -> Answer:
    with StubHttp(reply) as server:
        http = Http(server.endpoint, SystemClock())
        try:
            return http.exchange("GET", "/", {"host": http.host}, b"")
        finally:
            http.close()


@pytest.fixture
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "SILENCE_SECONDS", 0.2)
    monkeypatch.setattr(http1, "TOTAL_SECONDS", 0.5)


def test_head_and_body_arrive_as_they_were_sent() -> None:
    with StubHttp(always(answer(200))) as server:
        http = Http(server.endpoint, SystemClock())
        http.exchange("PUT", "/b/k?x=y", {"host": http.host, "if-none-match": "*"}, b"12\r\n3")
        http.close()
    [request] = server.requests
    assert (request.method, request.target, request.body) == ("PUT", "/b/k?x=y", b"12\r\n3")
    assert request.headers == {"host": http.host, "if-none-match": "*", "content-length": "5"}


def test_a_body_larger_than_one_packet_arrives() -> None:
    large = bytes(range(256)) * (8 << 10)
    with StubHttp(always(answer(200))) as server:
        http = Http(server.endpoint, SystemClock())
        http.exchange("PUT", "/", {"host": http.host}, large)
        http.close()
    assert server.requests[0].body == large


@pytest.mark.fuzz
@given(cuts=st.lists(st.integers(0, 90), max_size=8), chunked=st.booleans())
def test_an_answer_is_the_same_however_it_is_cut(cuts: list[int], chunked: bool) -> None:
    whole = CHUNKED if chunked else answer(200, b"Wikipedia ", "X: 1")
    edges = sorted({0, *cuts, len(whole)} - set(range(len(whole) + 1, 100)))
    pieces = [whole[start:end] for start, end in pairwise(edges)]
    got = get(always(b"HTTP/1.1 100 Continue\r\n\r\n", *pieces))
    assert (got.status, got.body, got.whole) == (200, b"Wikipedia ", True)


def test_connections_are_kept_and_shared() -> None:
    with StubHttp(always(answer(200))) as server:
        http = Http(server.endpoint, SystemClock(), kept=2)

        def ask(_: int) -> int:
            return http.exchange("GET", "/", {"host": http.host}, b"").status

        with ThreadPoolExecutor(2) as pool:
            assert set(pool.map(ask, range(100))) == {200}
        http.close()
    assert 1 <= server.connections <= 2


def test_no_more_connections_stay_open_than_are_kept() -> None:
    gate = Event()

    def hold(_: Request) -> Iterable[bytes]:
        gate.wait(10)
        return [answer(200)]

    with StubHttp(hold) as server:
        http = Http(server.endpoint, SystemClock(), kept=1)
        with ThreadPoolExecutor(3) as pool:
            asked = [pool.submit(http.exchange, "GET", "/", {}, b"") for _ in range(3)]
            gate.set()
            assert [each.result().status for each in asked] == [200] * 3
        assert len(http._idle) == 1
        http.close()


def test_a_connection_that_the_server_closed_is_not_used_again() -> None:
    with StubHttp(always(answer(200))) as server:
        http = Http(server.endpoint, SystemClock())
        http.exchange("GET", "/", {}, b"")
        server.drop_connections()
        http._idle[0]._poll.poll(2000)  # until the close has arrived
        assert http.exchange("GET", "/", {}, b"").status == 200
        http.close()
    assert server.connections == 2


def test_a_connection_that_idled_long_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with StubHttp(always(answer(200))) as server:
        http = Http(server.endpoint, SystemClock())
        http.exchange("GET", "/", {}, b"")
        monkeypatch.setattr(http1, "_IDLE_SECONDS_MAX", 0)
        http.exchange("GET", "/", {}, b"")
        http.close()
    assert server.connections == 2


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(answer(200, b"x", "Connection: close"), id="says close"),
        pytest.param(answer(200, b"x") + b"HTTP/1.1 200 x", id="says more than was asked"),
    ],
)
def test_such_a_connection_is_not_kept(reply: bytes) -> None:
    with StubHttp(always(reply)) as server:
        http = Http(server.endpoint, SystemClock())
        for _ in range(2):
            assert http.exchange("GET", "/", {}, b"").body == b"x"
        assert http._idle == []
    assert server.connections == 2


def test_no_content_has_no_length() -> None:
    assert get(always(b"HTTP/1.1 204 No Content\r\n\r\n")).whole


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param([b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", b""], id="cut body"),
        pytest.param([CHUNKED[:-8]], id="cut chunks"),
        pytest.param([CHUNKED.replace(b"6;x=y", b"six")], id="garbled chunk size"),
        pytest.param([b"HTTP/1.1 200 OK\r\n\r\nuntil the end"], id="no length"),
        pytest.param([b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"], id="impossible length"),
    ],
)
@pytest.mark.usefixtures("short_limits")
def test_a_status_whose_body_is_broken_is_known_but_not_whole(reply: list[bytes]) -> None:
    got = get(always(*reply))
    assert (got.status, got.whole) == (200, False)


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param([], id="closed"),
        pytest.param([b"HTTP/1.1 2"], id="silent"),
        pytest.param([b"SSH-2.0-OpenSSH\r\n\r\n"], id="another protocol"),
        pytest.param([b"HTTP/1.1 2000 OK\r\n\r\n"], id="garbled status"),
        pytest.param([b"HTTP/1.1 200 OK\r\n" + b"x" * (80 << 10)], id="endless head"),
    ],
)
@pytest.mark.usefixtures("short_limits")
def test_what_is_no_answer_is_named_so(reply: list[bytes]) -> None:
    with pytest.raises(NoAnswer):
        get(always(*reply))


@pytest.mark.usefixtures("short_limits")
def test_a_server_that_dribbles_is_left_when_the_time_is_up() -> None:
    clock = SystemClock()
    began = clock.monotonic()

    def dribble(_: Request) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\n"
        while clock.monotonic() < began + 10:
            clock.sleep(0.05)
            yield b"x"

    with pytest.raises(NoAnswer):
        get(dribble)
    assert clock.monotonic() - began < 2


def test_nobody_there_is_no_answer() -> None:
    [port] = free_ports(1)
    with pytest.raises(NoAnswer, match="cannot connect"):
        Http(f"http://127.0.0.1:{port}", SystemClock()).exchange("GET", "/", {}, b"")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_who_is_connected_when_the_time_is_up_gets_no_answer(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name may have many addresses, of which each may take its time."""
    connect, clock = socket.create_connection, FakeClock()

    def slowly(*to: Any, **options: Any) -> socket.socket:
        clock.pass_monotonic(http1.TOTAL_SECONDS + 1)
        return connect(*to, **options)

    monkeypatch.setattr(socket, "create_connection", slowly)
    with StubHttp(always(answer(200))) as server:
        http = Http(server.endpoint.replace("http", scheme), clock)
        with pytest.raises(NoAnswer, match="in time"):
            http.exchange("GET", "/", {"host": http.host}, b"")
        http.close()


def test_tls_is_spoken_and_verified(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    with StubHttp(always(answer(200, b"sealed")), (certificate, key)) as server:
        http = Http(server.endpoint, SystemClock(), ca_file=str(certificate))
        for _ in range(2):
            assert http.exchange("GET", "/", {"host": http.host}, b"").body == b"sealed"
        assert server.connections == 1
        http.close()
        with pytest.raises(NoAnswer, match="certificate"):
            Http(server.endpoint, SystemClock()).exchange("GET", "/", {}, b"")
