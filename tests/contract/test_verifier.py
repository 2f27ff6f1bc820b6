"""The authority that verifies names, as the adapter asks it, and every way not to be answered."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import orjson
import pytest

from services.identity.domain.names import Person
from services.identity.verifier import DevelopmentVerifier, HttpVerifier
from shared.clock import SystemClock
from shared.errors import Refused
from tests.support.stub_http import Reply, Request, StubHttp, always, answer

MOTHER = Person("李梅", "620102198503030019", date(1985, 3, 3), "+8613800000001")
CHILD = Person("王小明", "620102201503030019", date(2015, 3, 3))


def verifier(stub: StubHttp) -> HttpVerifier:
    return HttpVerifier(f"{stub.endpoint}/names", "the key", SystemClock())


@pytest.mark.parametrize("match", [True, False])
def test_it_asks_as_the_contract_says(match: bool) -> None:
    with StubHttp(always(answer(200, orjson.dumps({"match": match})))) as stub:
        asked = verifier(stub)
        assert asked.belongs(MOTHER) is match
        assert asked.belongs(CHILD) is match
        assert asked.guards(MOTHER, CHILD) is match
        asked.close()
    first, second, third = stub.requests
    assert (first.method, first.target) == ("POST", "/names/holders")
    assert first.headers["authorization"] == "Bearer the key"
    assert first.headers["content-type"] == "application/json"
    mother = {"name": MOTHER.name, "number": MOTHER.number}
    assert orjson.loads(first.body) == {**mother, "phone": "+8613800000001"}
    child = {"name": CHILD.name, "number": CHILD.number}
    assert (second.target, orjson.loads(second.body)) == ("/names/persons", child)
    assert third.target == "/names/guardianships"
    assert orjson.loads(third.body) == {"guardian": mother, "child": child}


@pytest.mark.parametrize(
    "reply",
    [
        always(),
        always(answer(500, b'{"match":true}')),
        always(answer(401, b'{"match":true}')),
        always(answer(302, b'{"match":true}', "Location: /elsewhere")),
        always(answer(200, b'{"match":"true"}')),
        always(answer(200, b'{"match":1}')),
        always(answer(200, b"{}")),
        always(answer(200, b"[true]")),
        always(answer(200, b"true")),
        always(answer(200, b"<html>")),
        always(b"HTTP/1.1 200 x\r\nContent-Length: 40\r\n\r\n" + b'{"match":true}'),
        always(b"garbage\r\n\r\n"),
    ],
)
def test_anything_else_is_no_answer_and_asked_once(reply: Reply) -> None:
    def then_closed(request: Request) -> Iterator[bytes]:
        yield from reply(request)
        stub.drop_connections()

    with StubHttp(then_closed) as stub:
        asked = verifier(stub)
        with pytest.raises(Refused, match="verifier-unavailable") as told:
            asked.belongs(MOTHER)
        asked.close()
    assert told.value.retry_after_seconds
    assert len(stub.requests) == 1


def test_nobody_there_is_no_answer() -> None:
    with StubHttp(always()) as stub:
        asked = verifier(stub)
    with pytest.raises(Refused, match="verifier-unavailable"):
        asked.belongs(MOTHER)


def test_the_stand_in_is_refused_outside_development() -> None:
    with pytest.raises(RuntimeError, match="GANSU_VERIFIER_URL"):
        DevelopmentVerifier("production")
    believing = DevelopmentVerifier("development")
    assert believing.source == "development"
    assert believing.belongs(MOTHER)
    assert not believing.belongs(replace(MOTHER, phone="+8613800000000"))
    assert believing.guards(MOTHER, CHILD)
    assert not believing.guards(CHILD, MOTHER)
