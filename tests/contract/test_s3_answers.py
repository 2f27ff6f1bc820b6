"""What an S3 answer means, and what exactly is asked, against a server that answers to order."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from typing import Any, TypeVar

import pytest
from botocore.credentials import RefreshableCredentials

from infra.seaweed import free_ports
from shared import waiting
from shared.clock import SystemClock
from shared.storage import http1
from shared.storage.objects import (
    Absent,
    Denied,
    Exists,
    Misconfigured,
    ObjectInfo,
    StoreError,
    Uncertain,
)
from shared.storage.s3 import CreateCondition, S3Address, S3Store
from tests.support.stub_http import Reply, Request, StubHttp, always, answer

T = TypeVar("T")

LISTING = b"""<?xml version="1.0"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
<IsTruncated>%s</IsTruncated><Contents><Key>%s</Key><Size>7</Size></Contents>
</ListBucketResult>"""


def error(status: int, code: str) -> bytes:
    body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>m</Message></Error>'
    return answer(status, body.encode())


@contextmanager
def s3(
    reply: Reply, condition: CreateCondition = "if-none-match"
) -> Iterator[tuple[S3Store, StubHttp]]:
    with StubHttp(reply) as server:
        address = S3Address(
            "bucket", server.endpoint, access_key="AK", secret_key="SK", condition=condition
        )
        store = S3Store(address, SystemClock())
        yield store, server
        store.close()


@pytest.fixture(scope="module")
def shared_stub() -> Iterator[tuple[S3Store, StubHttp]]:
    """One store for the many answers: making one takes boto3 a while."""
    with s3(always()) as both:
        yield both


MEANINGS = [
    (error(404, "NoSuchKey"), Absent),
    (error(404, "NoSuchBucket"), Misconfigured),
    (answer(404, b"<html><body>not here"), Uncertain),
    (answer(404, b""), Uncertain),
    (error(404, "NoSuchKey")[:-9], Uncertain),
    (error(403, "AccessDenied"), Denied),
    (error(403, "NoSuchKey"), Denied),
    (error(401, "Unauthorized"), Denied),
    (error(400, "ExpiredToken"), Denied),
    (answer(403, b"<html>"), Denied),
    (error(400, "AuthorizationHeaderMalformed"), Misconfigured),
    (error(400, "InvalidBucketName"), Misconfigured),
    (error(400, "RequestTimeout"), Uncertain),
    (error(301, "PermanentRedirect"), Misconfigured),
    (answer(307, b"", "Location: http://127.0.0.1:1/"), Misconfigured),
    (error(405, "MethodNotAllowed"), Misconfigured),
    (error(429, "TooManyRequests"), Uncertain),
    (error(500, "InternalError"), Uncertain),
    (error(500, "NoSuchKey"), Uncertain),
    (error(503, "SlowDown"), Uncertain),
    (answer(502, b"<html>Bad Gateway"), Uncertain),
    (b"HTTP/1.1 garbage\r\n\r\n", Uncertain),
]


@pytest.mark.parametrize(("reply", "meaning"), MEANINGS, ids=lambda value: str(value)[:70])
def test_what_an_answer_means(
    reply: bytes,
    meaning: type[StoreError],
    shared_stub: tuple[S3Store, StubHttp],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http1, "SILENCE_SECONDS", 0.2)
    store, server = shared_stub
    server.reply = always(reply)
    for operation in (
        lambda: store.create("k", b"x"),
        lambda: store.get("k"),
        lambda: store.list("k"),
        store.versioning,
    ):
        with pytest.raises(StoreError) as raised:
            operation()
        assert type(raised.value) is meaning


@pytest.mark.parametrize(
    "reply",
    [
        error(412, "PreconditionFailed"),
        error(409, "ConditionalRequestConflict"),
        error(409, "FileAlreadyExists"),
        answer(412, b"garbled"),
    ],
)
def test_a_create_that_found_the_key_taken(reply: bytes) -> None:
    with s3(always(reply)) as (store, _), pytest.raises(Exists):
        store.create("k", b"x")


@pytest.mark.parametrize(
    "reply",
    [
        answer(200, b"<garbled"),
        b"HTTP/1.1 200 OK\r\n\r\nof no known length",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut",
    ],
)
def test_a_create_that_was_acknowledged_is_stored_whatever_follows(
    reply: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http1, "SILENCE_SECONDS", 0.2)
    with s3(always(reply)) as (store, _):
        store.create("k", b"x")


def test_a_cut_object_is_no_object(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "SILENCE_SECONDS", 0.2)
    with (
        s3(always(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut")) as (store, _),
        pytest.raises(Uncertain),
    ):
        store.get("k")


def test_a_listing_that_cannot_be_read_is_uncertain() -> None:
    with s3(always(answer(200, b"<ListBucketResult><Contents>"))) as (store, _):
        with pytest.raises(Uncertain):
            store.list("")
        with pytest.raises(Uncertain):
            store.versioning()


def test_a_lost_create_is_not_sent_again() -> None:
    with s3(always()) as (store, server):
        with pytest.raises(Uncertain):
            store.create("k", b"x")
        assert len(server.requests) == 1


def test_nobody_there_is_uncertain() -> None:
    [port] = free_ports(1)
    address = S3Address("bucket", f"http://127.0.0.1:{port}", access_key="AK", secret_key="SK")
    with pytest.raises(Uncertain):
        S3Store(address, SystemClock()).get("k")


def test_a_create_is_conditional() -> None:
    with s3(always(answer(200))) as (store, server):
        store.create("a/b c", b"body")
    [request] = server.requests
    assert (request.method, request.target) == ("PUT", "/bucket/a/b%20c")
    assert request.body == b"body"
    assert request.headers["if-none-match"] == "*"
    assert "if-none-match" in request.headers["authorization"]


def test_a_range_is_asked_for_and_signed() -> None:
    with s3(always(answer(206, b"cde"))) as (store, server):
        assert store.get_range("k", 2, 3) == b"cde"
    [request] = server.requests
    assert request.headers["range"] == "bytes=2-4"
    assert "range" in request.headers["authorization"]


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (answer(200, b"abcdefg"), b"cde"),
        (answer(200, b"abcd"), Uncertain),
        (answer(206, b"cd"), Uncertain),
        (answer(206, b"cdef"), Uncertain),
        (error(416, "InvalidRange"), Uncertain),
        (error(404, "NoSuchKey"), Absent),
        (answer(403), Denied),
    ],
)
def test_an_answer_to_a_range_is_all_of_it_or_none(reply: bytes, outcome: Any) -> None:
    with s3(always(reply)) as (store, _):
        if isinstance(outcome, bytes):
            assert store.get_range("k", 2, 3) == outcome
        else:
            with pytest.raises(outcome):
                store.get_range("k", 2, 3)


def test_a_create_on_oss_carries_its_own_condition() -> None:
    """The bucket is in the host name there, so the request is taken from the signer's side."""
    with StubHttp(always(answer(200))) as server:
        port = server.endpoint.rpartition(":")[2]
        address = S3Address(
            "bucket",
            f"http://oss.localhost:{port}",
            access_key="AK",
            secret_key="SK",
            condition="oss",
        )
        store = S3Store(address, SystemClock())
        assert store._http.host == f"bucket.oss.localhost:{port}"
        store._http._name = "127.0.0.1"  # no name service knows it
        store.create("a/b", b"body")
        store.get("a/b")
        store.close()
    created, read = server.requests
    assert created.target == "/a/b"
    assert created.headers["host"] == f"bucket.oss.localhost:{port}"
    assert created.headers["x-oss-forbid-overwrite"] == "true"
    assert "x-oss-forbid-overwrite" in created.headers["authorization"]
    assert "if-none-match" not in created.headers
    assert "x-oss-forbid-overwrite" not in read.headers


def test_a_listing_asks_for_what_is_missing_only() -> None:
    pages = iter([LISTING % (b"true", b"k/1"), LISTING % (b"true", b"k/2")])

    def page(_: Request) -> list[bytes]:
        return [answer(200, next(pages))]

    with s3(page) as (store, server):
        found = store.list("k/", after="k/0", limit=2)
    assert found == [ObjectInfo("k/1", 7), ObjectInfo("k/2", 7)]
    assert [request.target for request in server.requests] == [
        "/bucket/?list-type=2&max-keys=2&prefix=k%2F&start-after=k%2F0",
        "/bucket/?list-type=2&max-keys=1&prefix=k%2F&start-after=k%2F1",
    ]


@pytest.mark.parametrize(
    ("body", "state"),
    [
        (b"<VersioningConfiguration/>", "never"),
        (b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>", "enabled"),
        (
            b"<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>",
            "suspended",
        ),
    ],
)
def test_versioning_is_told(body: bytes, state: str) -> None:
    with s3(always(answer(200, body))) as (store, server):
        assert store.versioning() == state
    assert server.requests[0].target == "/bucket/?versioning="


def test_the_store_clock_is_compared_at_every_answer() -> None:
    clock = SystemClock()
    ahead_seconds = [60.0]

    def dated(_: Request) -> list[bytes]:
        date = formatdate(clock.now_ms() / 1000 + ahead_seconds[0], usegmt=True)
        return [answer(200, b"", f"Date: {date}")]

    with s3(dated) as (store, server):
        assert store.clock_skew_ms() is None
        for seconds in (60, -90):
            ahead_seconds[0] = seconds
            store.get("k")
            skew_ms = store.clock_skew_ms()
            assert skew_ms is not None
            assert abs(skew_ms - seconds * 1000) < 1500
        server.reply = always(answer(200, b"", "Date: yesterday"))
        store.get("k")
        assert store.clock_skew_ms() == skew_ms


def test_without_credentials_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with StubHttp(always(answer(200))) as server:
        with pytest.raises(Denied):
            S3Store(S3Address("bucket", server.endpoint), SystemClock())
        assert server.requests == []


def expired() -> dict[str, str]:
    at = datetime.now(UTC) - timedelta(hours=1)
    return {
        "access_key": "AK",
        "secret_key": "SK",
        "token": "T",
        "expiry_time": at.isoformat(),
    }


def gone() -> dict[str, str]:
    raise FileNotFoundError(2, "No such file or directory", "/var/run/secrets/token")


@pytest.mark.parametrize("renew", [expired, gone])
def test_credentials_that_cannot_be_renewed_are_none(renew: Callable[[], dict[str, str]]) -> None:
    with s3(always(answer(200))) as (store, server):
        store._credentials = RefreshableCredentials.create_from_metadata(expired(), renew, "role")
        with pytest.raises(Denied, match="credentials: "):
            store.get("k")
    assert server.requests == []


class Noted:
    """Ways of waiting that note whether something is being done apart."""

    def __init__(self) -> None:
        self.is_apart = False

    def signal(self) -> waiting.Signal:
        raise NotImplementedError

    def apart(self, work: Callable[[], T]) -> T:
        self.is_apart = True
        try:
            return work()
        finally:
            self.is_apart = False

    alone = apart

    def soon(self, work: Callable[[], object]) -> bool:
        raise NotImplementedError


def test_credentials_are_renewed_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """That asks somebody else, for seconds."""
    ways, seen = Noted(), list[bool]()
    monkeypatch.setattr(waiting, "_here", threading.local())
    waiting.wait_by(ways)

    def renew() -> dict[str, str]:
        seen.append(ways.is_apart)
        return {**expired(), "expiry_time": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}

    with s3(always(answer(200))) as (store, _):
        store._credentials = RefreshableCredentials.create_from_metadata(expired(), renew, "role")
        store.get("k")
    assert seen == [True]


@pytest.mark.parametrize("said", [[], ["Date: Mon, 01 Jan 2024 00:00:00 +99999999999999"]])
def test_an_answer_without_a_date_says_nothing_of_the_stores_clock(said: list[str]) -> None:
    with s3(always(answer(200, b"", *said))) as (store, _):
        store.get("k")
        assert store.clock_skew_ms() is None
