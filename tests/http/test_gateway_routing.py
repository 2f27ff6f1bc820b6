"""What a service gets of a request, and what a client gets of an answer."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.gateway import FORWARDED, Service
from shared.language import accepted
from tests.support.gateway import GatewayServer, before
from tests.support.upstream import Arrived, Reply, Script, Upstream

FORGED = {
    "X-Request-Id": "forged",
    "X-Forwarded-For": "10.0.0.1",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Port": "1",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-Protocol": "ssl",
    "X-Forwarded-Ssl": "on",
    "X_Request_Id": "forged",
    "Path_Info": "/evil",
    "X-Real-IP": "10.0.0.1",
    "Forwarded": "for=10.0.0.1",
    "Host": "evil.example",
    "Cookie": "session=1",
    "Proxy": "http://evil.example",
}


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayServer]:
    """A gateway before a service that answers with the headers it got."""

    def script(arrived: Arrived) -> Reply:
        return Reply(body=json.dumps(dict(arrived.headers)).encode())

    with (
        Upstream(script) as upstream,
        before(tmp_path_factory.mktemp("mirror"), upstream) as gateway,
    ):
        yield gateway


def test_a_request_reaches_its_service_as_it_was_written(tmp_path: Path) -> None:
    with Upstream() as upstream, before(tmp_path, upstream) as gateway:
        target = "/commerce/v1/products?q=%E7%99%BE%E5%90%88&limit=5"
        answer = gateway.request("PUT", target, {"Idempotency-Key": "k"}, b'{"a":1}')
    [arrived] = upstream.arrived
    assert answer.status == 200
    assert (arrived.method, arrived.target, arrived.body) == ("PUT", target, b'{"a":1}')
    assert arrived.headers["idempotency-key"] == "k"


def test_the_gateway_names_the_request_and_believes_no_client(tmp_path: Path) -> None:
    with Upstream() as upstream, before(tmp_path, upstream) as gateway:
        answer = gateway.request("GET", "/commerce/v1/orders", FORGED)
        [line] = gateway.log()
    sent = upstream.arrived[0].headers
    assert len(sent["x-request-id"]) == 32
    assert answer.headers["x-request-id"] == sent["x-request-id"] == line["request_id"]
    assert sent["x-forwarded-for"] == "127.0.0.1"
    assert sent["x-forwarded-proto"] == "http"
    assert sent["host"] == sent["x-forwarded-host"] == "localhost"
    kept = {"x-request-id", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "host"}
    assert not sent.keys() & ({name.lower() for name in FORGED} - kept)
    assert not any(value in str(sent) for value in ("evil", "forged", "10.0.0.1"))


def test_a_service_gets_the_headers_that_it_reads_and_no_others(tmp_path: Path) -> None:
    sent = {**dict.fromkeys(FORWARDED, "x"), "If-None-Match": '"7"', "User-Agent": "x", "X-A": "x"}
    with Upstream() as upstream, before(tmp_path, upstream) as gateway:
        gateway.request("GET", "/commerce/v1/orders", sent)
    assert upstream.arrived[0].headers.keys() == {
        *(name.lower() for name in FORWARDED),
        "accept-language",
        "host",
        "if-none-match",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-request-id",
    }


def test_a_cookie_reaches_the_sign_in_pages_alone(tmp_path: Path) -> None:
    with Upstream() as upstream:
        services = (Service("identity", (upstream.address,)),)
        with before(tmp_path, services=services) as gateway:
            for path in (
                "authorize?x=1",
                "sign-in",
                "sign-in/code",
                "token",
                "v1/apps",
                "sign-inx",
            ):
                gateway.request("GET", f"/identity/{path}", {"Cookie": "gansu_sign_in=1"})
    sent = [arrived.headers.get("cookie") for arrived in upstream.arrived]
    assert sent == ["gansu_sign_in=1"] * 3 + [None] * 3


def test_a_service_cannot_name_the_request_either(tmp_path: Path) -> None:
    reply = Reply(headers={"X-Request-Id": "forged", "X-Frame-Options": "ALLOWALL"})
    asked = b"GET /commerce/v1/orders HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    with Upstream(lambda _: reply) as upstream, before(tmp_path, upstream) as gateway:
        answer = gateway.raw(asked)
    assert b"forged" not in answer
    assert upstream.arrived[0].headers["x-request-id"].encode() in answer
    assert b"ALLOWALL" not in answer
    assert b"X-Frame-Options: DENY\r\n" in answer


@pytest.mark.parametrize(
    "asked",
    [
        None,
        "",
        "zh-CN,zh;q=0.9,en;q=0.8",
        "en-US,en;q=0.9,zh-CN;q=0.8",
        "en",
        "EN-gb",
        "zh;q=0.5, en;q=0.9",
        "en;q=0.5, zh;q=0.9",
        "en, zh",
        "fr-FR, en;q=0.3",
        "fr",
        "en;q=0",
        "en;q=0, zh;q=0",
        "en;q=1.0, zh;q=0.9",
        "frozen, zhang, english",
        "*",
        "en;q=0.5, *",
        "*;q=0.1, en;q=0.5",
        "en;q=0.7, zh;q=0.7",
        "zh-Hant-TW;q=0.2, en-AU;q=0.4",
    ],
)
def test_the_language_is_the_one_that_services_would_choose(
    mirror: GatewayServer, asked: str | None
) -> None:
    headers = {} if asked is None else {"Accept-Language": asked}
    answer = mirror.request("GET", "/commerce/v1/products", headers)
    assert answer.json()["accept-language"] == accepted(asked)


def test_a_repeated_header_that_must_be_single_arrives_as_one(tmp_path: Path) -> None:
    """gunicorn refuses the repetition in words of its own; a service refuses the value in ours."""
    head = b"POST /commerce/v1/orders HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
    types = b"Content-Type: application/json\r\nContent-Type: text/html\r\n"
    with Upstream() as upstream, before(tmp_path, upstream) as gateway:
        gateway.raw(head + types + b"Content-Length: 2\r\n\r\n{}")
    assert upstream.arrived[0].headers["content-type"] == "application/json, text/html"


def test_connections_to_a_service_are_used_again(tmp_path: Path) -> None:
    with Upstream() as upstream, before(tmp_path, upstream) as gateway:
        for number in range(20):
            gateway.get(f"/commerce/v1/products/{number}")
    assert len({arrived.connection for arrived in upstream.arrived}) == 1


def test_answers_are_compressed_and_their_etags_say_so(tmp_path: Path) -> None:
    body = json.dumps({"text": "百合 " * 400}).encode()
    reply = Reply(headers={"ETag": '"7"', "Content-Type": "application/json"}, body=body)
    with Upstream(lambda _: reply) as upstream, before(tmp_path, upstream) as gateway:
        answer = gateway.get("/commerce/v1/orders/1", accept_encoding="gzip", authorization="x")
    assert answer.headers["content-encoding"] == "gzip"
    assert "Accept-Encoding" in answer.headers["vary"]
    assert len(answer.body) < len(body) / 10
    assert answer.headers["etag"] == 'W/"7"'


def test_problem_documents_are_compressed_too_and_media_is_not(tmp_path: Path) -> None:
    def script(arrived: Arrived) -> Reply:
        kind = "application/problem+json" if "problem" in arrived.target else "image/png"
        return Reply(headers={"Content-Type": kind}, body=b"x" * 2000)

    with Upstream(script) as upstream, before(tmp_path, upstream) as gateway:
        problem = gateway.get("/commerce/problem", accept_encoding="gzip")
        picture = gateway.get("/commerce/picture", accept_encoding="gzip")
        behind_another = gateway.get("/commerce/problem", accept_encoding="gzip", via="1.1 a")
    assert problem.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in picture.headers
    assert behind_another.headers["content-encoding"] == "gzip"


def test_every_answer_carries_the_security_headers(tmp_path: Path) -> None:
    with Upstream() as upstream, before(tmp_path, upstream) as gateway:
        for target in ("/commerce/v1/products", "/nowhere"):
            headers = gateway.get(target).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "DENY"
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["server"] == "nginx"


def test_a_post_that_a_service_took_and_dropped_is_never_sent_again(tmp_path: Path) -> None:
    drop = Reply(drop=True)
    with (
        Upstream(lambda _: drop) as one,
        Upstream(lambda _: drop) as two,
        before(tmp_path, one, two) as gateway,
    ):
        answer = gateway.request("POST", "/commerce/v1/orders", body=b"{}")
        assert answer.status == 502
        assert len(one.arrived) + len(two.arrived) == 1


def test_a_get_that_one_container_dropped_is_answered_by_another(tmp_path: Path) -> None:
    with (
        Upstream(lambda _: Reply(drop=True)) as broken,
        Upstream() as sound,
        before(tmp_path, broken, sound) as gateway,
    ):
        statuses = {gateway.get(f"/commerce/v1/orders/{number}").status for number in range(4)}
    assert statuses == {200}
    assert broken.arrived


def test_writes_keep_to_one_container_and_reads_go_round(tmp_path: Path) -> None:
    with Upstream() as one, Upstream() as two, before(tmp_path, one, two) as gateway:
        for number in range(4):
            gateway.request("POST", "/commerce/v1/orders", body=b"{}")
            gateway.get(f"/commerce/v1/orders/{number}")
    assert [arrived.method for arrived in one.arrived].count("POST") == 4
    assert {arrived.method for arrived in two.arrived} == {"GET"}


def test_writes_move_to_another_container_when_theirs_is_down(tmp_path: Path) -> None:
    with Upstream() as gone:
        pass
    with Upstream() as there, before(tmp_path, gone, there) as gateway:
        answer = gateway.request("POST", "/commerce/v1/orders", body=b"{}")
    assert answer.status == 200
    assert [arrived.method for arrived in there.arrived] == ["POST"]


def test_the_types_of_all_problems_are_explained(tmp_path: Path) -> None:
    """The gateway's own by itself; the others by whichever service knows them."""

    def knows(slug: str) -> Script:
        def script(arrived: Arrived) -> Reply:
            known = arrived.target == f"/problems/{slug}"
            return Reply(200 if known else 404, body=arrived.target.encode())

        return script

    with (
        Upstream(knows("sold-out")) as one,
        Upstream(knows("no-slot")) as two,
        Upstream(knows("no-bed")) as three,
    ):
        services = tuple(
            Service(name, (upstream.address,))
            for name, upstream in (("commerce", one), ("tourism", two), ("health", three))
        )
        with before(tmp_path, services=services) as gateway:
            for slug in ("sold-out", "no-slot", "no-bed"):
                answer = gateway.get(f"/problems/{slug}")
                assert (answer.status, answer.body.decode()) == (200, f"/problems/{slug}")
            assert gateway.get("/problems/unheard-of").status == 404
            own = gateway.get("/problems/too-many-requests", accept_language="en")
            odd = gateway.request("X", "/problems/sold-out")
            one.script = two.script = lambda _: Reply(404)
            three.script = lambda _: Reply(drop=True)
            lost = gateway.get("/problems/no-doctor")
    assert [(answer.status, answer.json()["type"]) for answer in (odd, lost)] == [
        (405, "/problems/method-not-allowed"),
        (502, "/problems/service-unreachable"),
    ]
    assert own.status == 200
    assert own.json() == {
        "type": "/problems/too-many-requests",
        "status": 429,
        "title": "Too many requests",
        "title_zh": "请求过于频繁，请稍后重试",
        "title_en": "Too many requests",
    }


@pytest.mark.parametrize(("language", "title"), [("zh-CN", "智慧甘肃"), ("en", "Smart Gansu")])
def test_the_front_page_leads_to_each_service(tmp_path: Path, language: str, title: str) -> None:
    with Upstream() as upstream:
        services = tuple(Service(name, (upstream.address,)) for name in ("commerce", "tourism"))
        with before(tmp_path, services=services) as gateway:
            answer = gateway.get("/", accept_language=language)
            packed = gateway.get("/", accept_encoding="gzip")
            page = answer.body.decode()
            links = re.findall('href="([^"]+)"', page)
            assert {gateway.get(link).status for link in links} == {200}
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["content-language"] == language
    assert packed.headers["content-encoding"] == "gzip"
    assert f"<h1>{title}</h1>" in page
    assert [arrived.target for arrived in upstream.arrived] == links
    assert set(links) >= {"/commerce/docs", "/tourism/docs"}


@pytest.mark.parametrize(
    "target", ["/", "/?a=b", "/problems/too-many-requests", "/gateway/health/live"]
)
def test_what_the_gateway_says_by_itself_can_only_be_read(tmp_path: Path, target: str) -> None:
    with Upstream() as upstream, before(tmp_path, upstream) as gateway:
        assert gateway.get(target).status == gateway.request("HEAD", target).status == 200
        for method in ("POST", "DELETE", "TRACE"):
            answer = gateway.request(method, target)
            assert answer.json()["type"] == "/problems/method-not-allowed"
            assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("target", ["/", "/problems/too-many-requests"])
def test_what_the_gateway_says_by_itself_is_of_no_revision(tmp_path: Path, target: str) -> None:
    with Upstream() as upstream, before(tmp_path, upstream) as gateway:
        answer = gateway.get(target, if_match='"7"')
    assert (answer.status, answer.json()["type"]) == (412, "/problems/stale")
    assert answer.headers["cache-control"] == "no-store"


def test_the_log_says_what_happened_and_no_secret(tmp_path: Path) -> None:
    with Upstream() as upstream, before(tmp_path, upstream) as gateway:
        gateway.get("/commerce/v1/products?q=secret", authorization="Bearer secret")
        [line] = gateway.log()
    assert line["method"] == "GET"
    assert line["path"] == "/commerce/v1/products"
    assert line["status"] == 200
    assert line["upstream"] == upstream.address
    assert (
        abs(time.time() - time.mktime(time.strptime(line["time"][:19], "%Y-%m-%dT%H:%M:%S"))) < 60
    )
    assert "secret" not in json.dumps(line)
