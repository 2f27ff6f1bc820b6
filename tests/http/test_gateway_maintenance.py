"""The switch that refuses writes, or everything, while nginx runs on."""

import re
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from infra import maintenance
from infra.gateway import Service
from infra.maintenance import Maintenance, main
from shared.clock import SystemClock
from shared.times import HOUR_MS, instant
from tests.support.gateway import GatewayServer, before
from tests.support.upstream import Arrived, Reply, Upstream
from tests.support.waiting import wait_until

CLOCK = SystemClock()
SERVICES = ("commerce", "identity")


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as upstream:
        yield upstream


@pytest.fixture
def gateway(tmp_path: Path, upstream: Upstream) -> Iterator[GatewayServer]:
    services = tuple(Service(name, (upstream.address,)) for name in SERVICES)
    with before(tmp_path, services=services) as gateway:
        yield gateway


def switched(gateway: GatewayServer, *arguments: str) -> int:
    return main(["--directory", str(gateway.settings.directory), *arguments], CLOCK)


def test_writes_are_refused_with_the_reason_and_reads_go_on(
    gateway: GatewayServer, upstream: Upstream
) -> None:
    until_ms = CLOCK.now_ms() + 30 * 60_000
    said = ("--reason", "系统升级，费用$5", "--reason-en", 'It\'s "upgraded" \\ for $5')
    assert switched(gateway, "on", *said, "--until", instant(until_ms)) == 0
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = gateway.request(method, "/commerce/v1/orders", body=b"{}")
        assert answer.status == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["retry-after"] == "600"
        assert answer.headers["content-language"] == "zh-CN"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json() == {
            "type": "/problems/maintenance",
            "title": "系统维护中，请稍后重试",
            "status": 503,
            "detail": "系统升级，费用$5",
            "until": instant(until_ms),
            "request_id": answer.headers["x-request-id"],
        }
    english = gateway.request("POST", "/identity/token", {"Accept-Language": "en"}, b"{}").json()
    assert english["title"] == "Closed for maintenance; try again later"
    assert english["detail"] == 'It\'s "upgraded" \\ for $5'
    assert upstream.arrived == []
    assert gateway.get("/commerce/v1/orders", authorization="Bearer x").status == 200
    picture = gateway.request("POST", "/commerce/v1/products/1/picture", body=b"x" * 70_000)
    assert picture.status == picture.json()["status"] == 503

    assert switched(gateway, "off") == 0
    assert gateway.request("POST", "/commerce/v1/orders", body=b"{}").status == 200


def test_one_service_is_closed_and_the_others_go_on(gateway: GatewayServer) -> None:
    def statuses(method: str) -> list[int]:
        return [gateway.request(method, f"/{name}/v1/orders").status for name in SERVICES]

    assert switched(gateway, "on", "--service", "commerce", "--reason", "核对库存") == 0
    assert (statuses("POST"), statuses("GET")) == ([503, 200], [200, 200])
    everything = ("on", "--mode", "all", "--reason", "核对库存")
    assert switched(gateway, *everything, "--service", "identity") == 0
    assert (statuses("POST"), statuses("GET")) == ([200, 503], [200, 503])
    both = ("--service", "identity", "--service", "commerce")
    assert switched(gateway, *everything, *both) == 0
    assert statuses("GET") == [503, 503]


def test_a_service_that_is_not_there_is_named(
    gateway: GatewayServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert switched(gateway, "on", "--service", "comerce", "--reason", "核对库存") == 1
    assert "no service comerce" in capsys.readouterr().err
    assert gateway.request("POST", "/commerce/v1/orders").status == 200


def test_everything_is_refused_but_health_and_what_explains_it(
    gateway: GatewayServer, upstream: Upstream
) -> None:
    assert switched(gateway, "on", "--mode", "all", "--reason", "搬迁") == 0
    for target in ("/commerce/v1/products", "/identity/authorize", "/nowhere"):
        answer = gateway.get(target, accept_language="en")
        assert (answer.status, answer.json()["detail"]) == (503, "搬迁")
        assert "until" not in answer.json()
        assert answer.headers["retry-after"] == "300"
    assert upstream.arrived == []
    assert gateway.get("/commerce/health/ready").status == 200
    assert gateway.get("/gateway/health/live").json() == {"status": "live", "maintenance": "all"}
    explained = gateway.get("/problems/maintenance")
    assert (explained.status, explained.json()["status"]) == (200, 503)


def test_a_public_answer_that_is_kept_goes_on_while_writes_are_refused(
    gateway: GatewayServer, upstream: Upstream
) -> None:
    def script(arrived: Arrived) -> Reply:
        return Reply(headers={"Cache-Control": "public, max-age=60"})

    upstream.script = script
    gateway.get("/commerce/v1/products")
    assert switched(gateway, "on", "--reason", "升级") == 0
    upstream.script = lambda _: Reply(500)
    assert gateway.get("/commerce/v1/products").status == 200


def test_what_was_under_way_is_answered_and_waited_for(
    gateway: GatewayServer, upstream: Upstream
) -> None:
    arrived, release, done = threading.Event(), threading.Event(), threading.Event()

    def script(_: Arrived) -> Reply:
        if not arrived.is_set():
            arrived.set()
            release.wait(20)
        return Reply(201)

    upstream.script = script
    answers: list[int] = []

    def ask() -> None:
        answers.append(gateway.request("POST", "/commerce/v1/orders", body=b"{}").status)

    def switch() -> None:
        switched(gateway, "on", "--reason", "升级")
        done.set()

    asking, switching = threading.Thread(target=ask), threading.Thread(target=switch)
    asking.start()
    assert arrived.wait(20)
    switching.start()
    other = ("POST", "/commerce/v1/orders")
    wait_until(
        lambda: gateway.get("/gateway/health/live").json()["maintenance"] == "writes", "the switch"
    )
    # A worker of before may take one more: it closes its door when it comes to it.
    wait_until(lambda: gateway.request(*other, body=b"{}").status == 503, "writes are refused")
    assert not done.is_set()
    release.set()
    asking.join()
    switching.join()
    assert answers == [201]
    assert done.is_set()


def test_it_outlives_the_gateway(tmp_path: Path, upstream: Upstream) -> None:
    with before(tmp_path, upstream) as gateway:
        assert switched(gateway, "on", "--reason", "升级") == 0
    with before(tmp_path, upstream) as again:
        assert again.request("POST", "/commerce/v1/orders", body=b"{}").status == 503
        assert switched(again, "off") == 0
    with before(tmp_path, upstream) as last:
        assert last.request("POST", "/commerce/v1/orders", body=b"{}").status == 200


def test_a_kept_connection_is_refused_too(gateway: GatewayServer) -> None:
    head = b"POST /commerce/v1/orders HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"
    with closing(gateway.connect()) as connection:
        connection.sendall(head)
        assert b" 200 OK" in connection.recv(65536)
        assert switched(gateway, "on", "--reason", "升级") == 0
        # Old connections are closed with the workers that held them.
        with suppress(ConnectionError):
            connection.sendall(head)
            assert connection.recv(65536) == b""


def test_the_command_says_what_is_the_case(
    gateway: GatewayServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert switched(gateway) == 0
    assert "No maintenance" in capsys.readouterr().out
    switched(gateway, "on", "--reason", "升级", "--mode", "all")
    assert "everything is refused: 升级" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--reason", ""), "a reason is one line"),
        (("--reason", "a\nb"), "a reason is one line"),
        # As a terminal's bytes arrive that are of another encoding than its locale.
        (("--reason", "\udcc9\udcfd"), r"and this is '\udcc9\udcfd'"),
        (("--reason", "升级", "--until", "2001-01-01T00:00"), "is over"),
        (("--reason", "升级", "--until", "tomorrow"), "Invalid isoformat"),
    ],
)
def test_what_cannot_be_said_is_refused_and_changes_nothing(
    gateway: GatewayServer,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    words: str,
) -> None:
    assert switched(gateway, "on", *arguments) == 1
    assert words in capsys.readouterr().err
    assert gateway.get("/gateway/health/live").json()["maintenance"] == "off"


def test_without_a_gateway_it_holds_from_the_next_start(
    tmp_path: Path, upstream: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    with before(tmp_path, upstream):
        pass
    assert main(["--directory", str(tmp_path), "on", "--reason", "升级"], CLOCK) == 0
    assert "it holds from its next start" in capsys.readouterr().out
    assert main(["--directory", str(tmp_path / "else"), "off"], CLOCK) == 1


def test_times_without_a_zone_are_chinas() -> None:
    now_ms = CLOCK.now_ms()
    local = instant(now_ms + 9 * HOUR_MS).removesuffix("Z")
    assert maintenance.moment(local, now_ms) == now_ms + HOUR_MS


@pytest.mark.parametrize("offset", [-4000, -3600, -3599, -601, -600, -1, 0, 1, 99_999_999])
def test_clients_are_told_to_come_back_sooner_as_the_end_draws_near(offset: int) -> None:
    until = 1_799_999_900
    conf = maintenance.rendered(Maintenance("writes", "一", "a", until * 1000))
    block = conf[conf.index("map $msec") :]
    msec = f"{until + offset}.123"
    found = next(
        (
            seconds
            for pattern, seconds in re.findall(r'"~(\S+)" (\d+);', block)
            if re.search(pattern, msec)
        ),
        "3600",
    )
    expected = (
        "3600" if offset < -3600 else "600" if offset < -600 else "60" if offset < 0 else "300"
    )
    assert found == expected
