"""Requests that two readers could take apart differently, at the real gateway and a real gunicorn.

What is smuggled is a request that the service reads and the gateway never saw. The gateway gives
each request an id of its own making and logs it, so there is one thing to ask of all probes, at the
end: whatever reached the service stands in the gateway's log, with its id, method and path.
"""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.gateway import GatewayServer, before
from tests.support.recorder import Recorder
from tests.support.waiting import wait_until

HIDDEN = b"GET /commerce/v1/smuggled HTTP/1.1\r\nHost: a\r\nX-Request-Id: forged00\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def post(headers: bytes, body: bytes = b"", end: bytes = b"\r\n") -> bytes:
    return b"POST /commerce/v1/orders HTTP/1.1" + end + b"Host: a" + end + headers + end + body


def chunks(size: bytes = b"2", data: bytes = b"{}", end: bytes = b"\r\n") -> bytes:
    return size + end + data + end + b"0" + end + end


LENGTH_OF_ALL = b"Content-Length: %d\r\n" % (5 + len(HIDDEN))

REFUSED = {
    "CL.TE": post(LENGTH_OF_ALL + CHUNKED, b"0\r\n\r\n" + HIDDEN),
    "TE.CL": post(CHUNKED + b"Content-Length: 4\r\n", b"5c\r\n" + HIDDEN + b"\r\n0\r\n\r\n"),
    "TE.TE, the second unknown": post(CHUNKED + b"Transfer-Encoding: x\r\n", b"0\r\n\r\n" + HIDDEN),
    "TE.TE, the first unknown": post(b"Transfer-Encoding: x\r\n" + CHUNKED, b"0\r\n\r\n" + HIDDEN),
    "chunked twice": post(CHUNKED * 2, b"0\r\n\r\n" + HIDDEN),
    "two codings": post(b"Transfer-Encoding: chunked, identity\r\n", b"0\r\n\r\n" + HIDDEN),
    "chunked in quotes": post(b'Transfer-Encoding: "chunked"\r\n', b"0\r\n\r\n" + HIDDEN),
    "a vertical tab before chunked": post(
        b"Transfer-Encoding: \x0bchunked\r\n", b"0\r\n\r\n" + HIDDEN
    ),
    "chunked in HTTP/1.0": post(CHUNKED, b"0\r\n\r\n" + HIDDEN).replace(b"/1.1", b"/1.0", 1),
    "a space before the colon of a coding": post(
        b"Transfer-Encoding : chunked\r\nContent-Length: 0\r\n", b"0\r\n\r\n" + HIDDEN
    ),
    "a space before the colon of a length": post(b"Content-Length : 5\r\n", b"0\r\n\r\n" + HIDDEN),
    "a folded coding": post(b"X-A: b\r\n Transfer-Encoding: chunked\r\n", b"0\r\n\r\n" + HIDDEN),
    "a folded length": post(b"Content-Length:\r\n 5\r\n", b"0\r\n\r\n" + HIDDEN),
    "a folded first header": b"GET /commerce/v1/a HTTP/1.1\r\n Host: a\r\n\r\n" + HIDDEN,
    "two lengths that differ": post(b"Content-Length: 0\r\nContent-Length: 5\r\n", HIDDEN),
    "two lengths that agree": post(b"Content-Length: 2\r\nContent-Length: 2\r\n", b"{}" + HIDDEN),
    "two lengths in one": post(b"Content-Length: 2, 2\r\n", b"{}" + HIDDEN),
    "a length with a sign": post(b"Content-Length: +2\r\n", b"{}" + HIDDEN),
    "a length in hex": post(b"Content-Length: 0x2\r\n", b"{}" + HIDDEN),
    "a length beyond all numbers": post(
        b"Content-Length: 18446744073709551618\r\n", b"{}" + HIDDEN
    ),
    "a length of nothing": post(b"Content-Length:\r\n", HIDDEN),
    "a chunk size in C": post(CHUNKED, chunks(b"0x2") + HIDDEN),
    "a chunk size below zero": post(CHUNKED, chunks(b"-2") + HIDDEN),
    "a chunk size beyond all numbers": post(CHUNKED, chunks(b"1" + b"0" * 16) + HIDDEN),
    "a chunk without a size": post(CHUNKED, chunks(b"") + HIDDEN),
    "a chunk longer than it says": post(CHUNKED, chunks(data=b"{}xxxx") + HIDDEN),
    "a NUL in a header": post(b"X-A: a\x00b\r\nContent-Length: 0\r\n", HIDDEN),
    "a header without a colon": post(b"Transfer-Encoding\r\nContent-Length: 0\r\n", HIDDEN),
    "a header name with a space": post(b"Content Length: 5\r\nX-A: b\r\n", b"0\r\n\r\n" + HIDDEN),
    "a bare CR in a header": post(b"X-A: a\rTransfer-Encoding: chunked\r\n", HIDDEN),
    "two hosts": b"GET /commerce/v1/a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + HIDDEN,
    "no host": b"GET /commerce/v1/a HTTP/1.1\r\n\r\n" + HIDDEN,
    "a host with a path": b"GET /commerce/v1/a HTTP/1.1\r\nHost: a/b\r\n\r\n" + HIDDEN,
    "a host with a space": b"GET /commerce/v1/a HTTP/1.1\r\nHost: a b\r\n\r\n" + HIDDEN,
    "HTTP/2 without TLS": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + HIDDEN,
    "a tab in the request line": b"GET\t/commerce/v1/a\tHTTP/1.1\r\nHost: a\r\n\r\n" + HIDDEN,
    "a space in the target": b"GET /commerce/v1/a b HTTP/1.1\r\nHost: a\r\n\r\n" + HIDDEN,
    "a tunnel": b"CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: a\r\n\r\n" + HIDDEN,
}
"""Each is one refusal, and nothing of it reaches the service."""


@dataclass(frozen=True)
class Taken:
    """What may reach the service of a probe: methods, paths and bodies, in order."""

    sent: bytes
    arrives: tuple[tuple[str, str, str], ...]


CLOSE = b"Connection: close\r\n"
ORDER = ("POST", "/commerce/v1/orders", "{}")

TAKEN = {
    "two requests, one behind the other": Taken(
        post(b"Content-Length: 2\r\n", b"{}") + post(CLOSE + b"Content-Length: 2\r\n", b"{}"),
        (ORDER, ORDER),
    ),
    "chunks": Taken(post(CLOSE + CHUNKED, chunks()), (ORDER,)),
    "a chunk with an extension": Taken(post(CLOSE + CHUNKED, chunks(b'2;a="b"')), (ORDER,)),
    "chunks with a trailer": Taken(
        post(
            CLOSE + CHUNKED, b"2\r\n{}\r\n0\r\nContent-Length: 90\r\nX-Request-Id: forged00\r\n\r\n"
        ),
        (ORDER,),
    ),
    "lines that end in LF alone": Taken(
        post(b"Connection: close\nContent-Length: 2\n", b"{}", end=b"\n"), (ORDER,)
    ),
    "a body of a GET": Taken(
        b"GET /commerce/v1/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(HIDDEN), HIDDEN),
        (("GET", "/commerce/v1/a", HIDDEN.decode()),),
    ),
    "an address with a host": Taken(
        b"GET http://evil.example/commerce/v1/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        (("GET", "/commerce/v1/a", ""),),
    ),
    "another host": Taken(
        b"GET /commerce/v1/a HTTP/1.1\r\nHost: evil.example:99\r\nConnection: close\r\n\r\n",
        (("GET", "/commerce/v1/a", ""),),
    ),
    "an upgrade to HTTP/2": Taken(
        b"GET /commerce/v1/a HTTP/1.1\r\nHost: a\r\nConnection: close, Upgrade, HTTP2-Settings\r\n"
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n",
        (("GET", "/commerce/v1/a", ""),),
    ),
    "a header named as one of the connection": Taken(
        b"GET /commerce/v1/a HTTP/1.1\r\nHost: a\r\nConnection: close, X-Request-Id\r\n\r\n",
        (("GET", "/commerce/v1/a", ""),),
    ),
}
"""Each is read by the service as the gateway read it."""


@dataclass(frozen=True)
class Front:
    gateway: GatewayServer
    recorder: Recorder

    def send(self, sent: bytes) -> tuple[list[int], list[dict[str, Any]]]:
        """The statuses that came back, and what newly reached the service. Waits for no silence:
        the gateway lets go of who keeps it waiting.
        """
        before_it = len(self.recorder.seen())
        answered = self.gateway.raw(sent)
        # A request of an honest client comes behind whatever the probe left in a connection.
        honest = self.gateway.get("/commerce/v1/honest")
        assert (honest.status, honest.json()["path"]) == (200, "/commerce/v1/honest")
        statuses = [int(code) for code in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", answered)]
        seen = self.recorder.seen()[before_it:]
        return statuses, [each for each in seen if each["path"] != "/commerce/v1/honest"]


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    directory = tmp_path_factory.mktemp("front")
    with (
        Recorder(directory) as recorder,
        before(directory, recorder, client_seconds=1) as gateway,
    ):
        yield Front(gateway, recorder)


@pytest.mark.parametrize("probe", REFUSED)
def test_what_can_be_read_two_ways_is_refused(front: Front, probe: str) -> None:
    statuses, arrived = front.send(REFUSED[probe])
    assert arrived == []
    assert len(statuses) == 1, "the rest of the connection is not read"
    assert statuses[0] in {400, 405, 501}


def test_a_request_of_one_line_is_refused(front: Front) -> None:
    """HTTP/0.9 has no headers, so neither has the refusal."""
    answer = front.gateway.raw(b"GET /commerce/v1/a\r\n" + HIDDEN)
    assert b'"type": "/problems/malformed-request"' in answer
    assert answer.count(b"{") == 1


@pytest.mark.parametrize("probe", TAKEN)
def test_what_is_taken_is_read_once_and_alike(front: Front, probe: str) -> None:
    statuses, arrived = front.send(TAKEN[probe].sent)
    found = [(each["method"], each["path"], each["body"]) for each in arrived]
    assert found == list(TAKEN[probe].arrives)
    assert statuses == [200] * len(arrived)
    for each in arrived:
        headers = each["headers"]
        assert headers["host"] == "localhost"
        assert not headers.keys() & {"upgrade", "http2-settings", "transfer-encoding", "trailer"}


def test_whatever_reached_the_service_stands_in_the_gateways_log(front: Front) -> None:
    # All of them once more: the tests before this one may have run elsewhere.
    probes = [*REFUSED.values(), *(taken.sent for taken in TAKEN.values())]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(front.gateway.raw, probes))
    assert front.gateway.get("/commerce/v1/honest").status == 200
    seen = front.recorder.seen()
    assert len(seen) > sum(len(taken.arrives) for taken in TAKEN.values())
    ids = [each["headers"]["x-request-id"] for each in seen]
    assert len(set(ids)) == len(ids)
    path = front.gateway.settings.logs / "gateway-access.log"
    wait_until(lambda: ids[-1] in path.read_text(), "the last request in the log")
    logged = {line["request_id"]: (line["method"], line["path"]) for line in front.gateway.log()}
    for each in seen:
        assert logged[each["headers"]["x-request-id"]] == (each["method"], each["path"])
