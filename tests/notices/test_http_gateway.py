"""The SMS gateway's side of the contract, byte by byte."""

import json
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from shared.clock import SystemClock
from shared.language import Words
from shared.notices.http import HttpGateway
from shared.notices.message import Message, Unsent
from tests.support.stub_http import Reply, StubHttp, always, answer

MESSAGE = Message("event_01", "subject-1", "order.placed", Words("您的订单已提交", "Placed"))
KEY = "a-key-that-only-tests-know"


@pytest.fixture
def stub() -> Iterator[StubHttp]:
    with StubHttp(always(answer(202))) as serving:
        yield serving


def sent(stub: StubHttp, path: str = "/v1/messages?dry=1", times: int = 1) -> None:
    gateway = HttpGateway(f"{stub.endpoint}{path}", KEY, "commerce", SystemClock())
    with closing(gateway):
        for _ in range(times):
            gateway.send(MESSAGE)


def unsent(stub: StubHttp, reply: Reply) -> Unsent:
    stub.reply = reply
    with pytest.raises(Unsent) as told:
        sent(stub)
    return told.value


def test_a_message_is_one_request_that_names_its_event(stub: StubHttp) -> None:
    sent(stub)
    [request] = stub.requests
    assert (request.method, request.target) == ("POST", "/v1/messages?dry=1")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["idempotency-key"] == "event_01"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["host"] == stub.endpoint.removeprefix("http://")
    assert json.loads(request.body) == {
        "id": "event_01",
        "service": "commerce",
        "recipient": "subject-1",
        "kind": "order.placed",
        "text_zh": "您的订单已提交",
        "text_en": "Placed",
    }


def test_an_address_without_a_path_is_its_root(stub: StubHttp) -> None:
    sent(stub, path="")
    assert stub.requests[0].target == "/"


def test_a_connection_is_kept(stub: StubHttp) -> None:
    sent(stub, times=3)
    assert (len(stub.requests), stub.connections) == (3, 1)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 409])
def test_taken_now_or_before_is_sent(stub: StubHttp, status: int) -> None:
    stub.reply = always(answer(status))
    sent(stub)


@pytest.mark.parametrize("status", [400, 410, 413, 415, 422, 451])
def test_what_is_wrong_with_the_message_is_for_good(stub: StubHttp, status: int) -> None:
    refusal = unsent(stub, always(answer(status)))
    assert refusal.for_good
    assert str(status) in str(refusal)


@pytest.mark.parametrize(
    "status", [301, 307, 401, 403, 404, 405, 408, 425, 429, 500, 502, 503, 504]
)
def test_what_may_pass_is_for_later(stub: StubHttp, status: int) -> None:
    assert not unsent(stub, always(answer(status))).for_good


@pytest.mark.parametrize(
    "reply",
    [
        always(),
        always(b"SSH-2.0-OpenSSH_9\r\n\r\n"),
        always(b"\xff\x00garbage\r\n\r\n"),
    ],
    ids=["closes", "another protocol", "garbage"],
)
def test_no_answer_is_for_later(stub: StubHttp, reply: Reply) -> None:
    assert not unsent(stub, reply).for_good


def test_an_answer_that_breaks_off_in_its_body_is_an_answer(stub: StubHttp) -> None:
    stub.reply = always(b"HTTP/1.1 202 x\r\nConnection: close\r\n\r\n{}")
    sent(stub)


def test_a_gateway_that_is_not_there_is_for_later() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    gateway = HttpGateway(f"http://127.0.0.1:{port}", KEY, "commerce", SystemClock())
    with pytest.raises(Unsent, match="does not answer") as told:
        gateway.send(MESSAGE)
    assert not told.value.for_good


def test_a_silent_gateway_is_given_up(stub: StubHttp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.storage.http1.SILENCE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        gateway = HttpGateway(f"http://127.0.0.1:{port}/", KEY, "commerce", SystemClock())
        with closing(gateway), pytest.raises(Unsent) as told:
            gateway.send(MESSAGE)
    assert not told.value.for_good


def test_nothing_that_is_raised_holds_the_key_or_the_recipient(stub: StubHttp) -> None:
    for reply in (always(answer(401, KEY.encode())), always(answer(422, b"subject-1")), always()):
        said = str(unsent(stub, reply))
        assert KEY not in said
        assert "subject-1" not in said
