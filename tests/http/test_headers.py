"""What every answer says to browsers, at the services and behind the real gateway; and what nobody
is allowed: no page of another site reads an answer of ours.
"""

import base64
import hashlib
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

import pytest
from werkzeug.test import TestResponse

from infra.gateway import Rate, Service, Tls
from shared.web.responses import NO_CONTENT_AT_ALL
from tests.support.bureau import APP, CHALLENGE, REDIRECT, Bureau
from tests.support.certificate import self_signed
from tests.support.gateway import GatewayServer, before
from tests.support.houses import HOUSES, House, Open
from tests.support.listening import Listening
from tests.support.matrix import Place, places
from tests.support.served import Served
from tests.support.upstream import Reply, Upstream

ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
ORIGIN = {"Origin": "https://evil.example"}
PREFLIGHT = {
    **ORIGIN,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization, idempotency-key",
}


def assert_headers(headers: dict[str, str], *, page: bool = False) -> None:
    assert {name: headers.get(name) for name in ALWAYS} == ALWAYS
    policy = headers["content-security-policy"]
    if page:
        assert policy.startswith("default-src 'none';")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
    else:
        assert policy == NO_CONTENT_AT_ALL
    assert [name for name in headers if name.startswith("access-control-")] == []
    assert not any(character.isdigit() for character in headers.get("server", ""))
    assert "x-powered-by" not in headers


def said(answer: TestResponse) -> dict[str, str]:
    """An answer's headers, each of which has to stand there once: of two policies a browser keeps
    both.
    """
    names = [name.lower() for name, _ in answer.headers]
    assert len(set(names)) == len(names)
    return dict(zip(names, answer.headers.values(), strict=True))


def is_page(place: Place) -> bool:
    return place.route is None


# At the services


@pytest.mark.parametrize("place", places(), ids=lambda place: place.name)
def test_every_route_says_so_whatever_it_answers(opened: Open, place: Place) -> None:
    served = opened(place.house)
    method, _, address = place.name.partition(" ")
    path = address.replace("{", "").replace("}", "")
    for sent in (ORIGIN, {**ORIGIN, "Authorization": f"Bearer {served.everyone()}"}):
        answer = served.client.open(path, method=method, headers=sent)
        headers = said(answer)
        assert_headers(headers, page=is_page(place) and answer.status_code == 200)


@pytest.mark.parametrize("house", HOUSES, ids=lambda house: house.name)
def test_what_stands_beside_the_routes_says_so_too(opened: Open, house: House) -> None:
    served = opened(house)
    for address in sorted(house.beside):
        for method in ("GET", "POST"):
            for sent in (ORIGIN, {**ORIGIN, "Authorization": f"Bearer {served.everyone()}"}):
                answer = served.client.open(address, method=method, headers=sent)
                is_html = (answer.content_type or "").startswith("text/html")
                assert_headers(said(answer), page=is_html)


@pytest.mark.parametrize("house", HOUSES, ids=lambda house: house.name)
def test_what_is_no_route_says_so_too(opened: Open, house: House) -> None:
    served = opened(house)
    tag = served.get("/docs").headers["ETag"]
    asked: tuple[tuple[str, str, dict[str, str]], ...] = (
        ("GET", "/nowhere", {}),
        ("DELETE", "/docs", {}),
        ("OPTIONS", "/docs", PREFLIGHT),
        ("GET", "/docs", {"If-None-Match": tag}),
    )
    for method, path, sent in asked:
        answer = served.ask(method, path, headers={**ORIGIN, **sent})
        headers = said(answer)
        assert answer.status_code in {304, 404, 405}
        assert_headers(headers, page=answer.status_code == 304)


def test_a_failure_of_the_program_says_so_too(tmp_path: Path) -> None:
    house = HOUSES[0]
    with house.open(tmp_path) as served:
        served.app.handlers[f"GET /{house.name}/health/live"] = None  # type: ignore[assignment]
        answer = served.get("/health/live")
        assert answer.status_code == 500
        assert_headers(said(answer))


# Behind the gateway


@pytest.fixture(scope="module")
def front(
    opened: Open, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[GatewayServer, Served]]:
    """Commerce behind the gateway, with TLS; no tourism behind it, and an upstream that says
    nothing of the kind as health.
    """
    served = opened(HOUSES[0])
    directory = tmp_path_factory.mktemp("headers")
    bare = Reply(headers={"Server": "Bare/1.2.3", "X-Powered-By": "Bare/1.2.3"})
    with Upstream(lambda _: bare) as silent, Listening(served.app) as listening:
        with Upstream() as gone:
            pass
        services = (
            Service(HOUSES[0].name, (listening.address,)),
            Service(HOUSES[1].name, (gone.address,)),
            Service(HOUSES[2].name, (silent.address,)),
        )
        tls = Tls(*self_signed(directory))
        with before(directory, services=services, tls=tls) as gateway:
            yield gateway, served


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/commerce/v1/products", 200),
        ("GET", "/commerce/v1/orders", 401),
        ("OPTIONS", "/commerce/v1/orders", 405),
        ("GET", "/commerce/nowhere", 404),
        ("GET", "/problems/sold-out", 200),
        ("GET", "/problems/too-many-requests", 200),
        ("GET", "/problems/unheard-of", 502),  # tourism is asked after commerce, and is not there
        ("GET", "/nowhere", 404),
        ("GET", "/commerce", 404),
        ("TRACE", "/commerce/v1/products", 405),
        ("GET", "/commerce/%zz", 400),
        ("GET", "/tourism/v1/attractions", 502),
        ("GET", "/health/v1/hospitals", 200),
    ],
)
def test_every_answer_of_the_gateway_says_so(
    front: tuple[GatewayServer, Served], method: str, target: str, status: int
) -> None:
    gateway, served = front
    served.clock.pass_monotonic(2)
    for _ in range(2):  # the second may come from the cache
        answer = gateway.request(method, target, PREFLIGHT)
        assert answer.status == status
        headers = dict(answer.headers)
        assert_headers(headers)
        assert headers["x-frame-options"] == "DENY"
        assert headers["strict-transport-security"] == "max-age=31536000"
        assert headers["server"] == "nginx"


def test_a_page_keeps_its_own_policy_behind_the_gateway(
    front: tuple[GatewayServer, Served],
) -> None:
    gateway, served = front
    answer = gateway.get("/commerce/docs")
    assert (
        answer.headers["content-security-policy"]
        == (served.get("/docs").headers["Content-Security-Policy"])
    )
    assert_headers(dict(answer.headers), page=True)
    again = gateway.get("/commerce/docs", if_none_match=answer.headers["etag"])
    assert again.status == 304
    assert_headers(dict(again.headers), page=True)


def test_the_front_page_may_look_as_it_is_meant_to_and_nothing_else(
    front: tuple[GatewayServer, Served],
) -> None:
    gateway, _ = front
    answer = gateway.get("/")
    assert answer.status == 200
    assert_headers(dict(answer.headers), page=True)
    [style] = re.findall("<style>(.*)</style>", answer.body.decode())
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}';" in answer.headers["content-security-policy"]
    assert_headers(dict(gateway.request("POST", "/").headers))


def test_a_header_is_said_once(front: tuple[GatewayServer, Served]) -> None:
    """Two of them would be read by some browsers as neither."""
    gateway, _ = front
    assert gateway.settings.tls is not None
    for target in ("/", "/commerce/v1/products", "/commerce/docs", "/nowhere"):
        with closing(gateway._connection()) as connection:
            connection.request("GET", target)
            names = [name.lower() for name, _ in connection.getresponse().getheaders()]
        assert len(set(names) - {"vary"}) == len([name for name in names if name != "vary"])


def test_the_page_to_sign_in_keeps_its_own_policy_and_cookie_behind_the_gateway(
    tmp_path: Path,
) -> None:
    """With the policy of what is no page beside its own, its form could not be sent."""
    with Bureau(tmp_path / "bureau") as bureau, Listening(bureau.app) as listening:
        services = (Service("identity", (listening.address,)),)
        tls = Tls(*self_signed(tmp_path))
        with before(tmp_path / "gateway", services=services, tls=tls) as gateway:
            shown = bureau.authorize()
            asked = {"client_id": APP, "redirect_uri": REDIRECT, "response_type": "code"}
            query = urlencode(
                {**asked, "code_challenge": CHALLENGE, "code_challenge_method": "S256"}
            )
            with closing(gateway._connection()) as connection:
                connection.request("GET", f"/identity/authorize?{query}")
                answer = connection.getresponse()
                pairs = [(name.lower(), value) for name, value in answer.getheaders()]
                body = answer.read()
    assert (answer.status, b"<form" in body) == (200, True)
    policies = [value for name, value in pairs if name == "content-security-policy"]
    assert policies == [shown.headers["Content-Security-Policy"]]
    names = [name for name, _ in pairs if name != "vary"]
    assert len(set(names)) == len(names)
    cookie = dict(pairs)["set-cookie"]
    assert cookie.startswith("__Host-")
    assert cookie.endswith("; Path=/; HttpOnly; SameSite=Lax; Secure")
    assert_headers(dict(pairs), page=True)


# What a client says of its way here


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP"])
def test_a_forged_address_is_no_way_around_a_limit(tmp_path: Path, header: str) -> None:
    with Upstream() as upstream, before(tmp_path, upstream, anonymous_rate=Rate(1, 3)) as gateway:
        statuses = []
        for number in range(12):
            forged = f"for=10.0.0.{number}" if header == "Forwarded" else f"10.0.0.{number}"
            answer = gateway.request("GET", "/commerce/v1/products", {header: forged})
            statuses.append(answer.status)
        lines = gateway.log(lines=12)
    assert statuses.count(429) >= 6
    assert {line["address"] for line in lines} == {"127.0.0.1"}
    assert {arrived.headers["x-forwarded-for"] for arrived in upstream.arrived} == {"127.0.0.1"}


def test_a_forged_scheme_host_or_id_changes_nothing(front: tuple[GatewayServer, Served]) -> None:
    gateway, served = front
    forged = {
        "Host": "evil.example",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "http",
        "X-Request-Id": "forged-id-of-12345678",
        "X-Original-URL": "/commerce/v1/orders",
        "X-Rewrite-URL": "/commerce/v1/orders",
        "X-HTTP-Method-Override": "DELETE",
    }
    plain = gateway.request("GET", "/commerce/v1/pavilions/gansu", {})
    answer = gateway.request("GET", "/commerce/v1/pavilions/gansu", forged)
    assert (answer.status, answer.body) == (plain.status, plain.body)
    assert b"evil" not in answer.body
    assert not any("evil" in value for value in answer.headers.values())
    assert answer.headers["x-request-id"] != forged["X-Request-Id"]
    assert b"forged" not in b"".join(served.log)
