"""`make run`: the whole platform on one machine, its starts, its ends, and what outlives them."""

import os
import select
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from infra import processes
from infra.gateway import Tls
from infra.services import SERVICES, seed_of
from shared.clock import SystemClock
from tests.support.certificate import self_signed
from tests.support.platform import READY, ROOT, START_SECONDS, Platform
from tests.support.waiting import wait_until

LILY = "sample-lanzhou-lily"

Begin = Callable[..., Platform]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Makes platforms, and ends them after the test."""
    with ExitStack() as ends:

        def made(name: str = "run", *options: str, tls: Tls | None = None) -> Platform:
            platform = Platform(tmp_path / name, *options, tls=tls)
            ends.callback(platform.end)
            return platform

        yield made


def told(platform: Platform) -> tuple[int, str]:
    """What another runner on the same directory and port says, and its exit status."""
    other = subprocess.run(
        platform.command(), cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    return other.returncode, other.stdout + other.stderr


def assert_nothing_left(platform: Platform, sessions: list[int]) -> None:
    wait_until(lambda: not platform.living(sessions), "the end of all processes", seconds=20)
    assert processes.left(platform.layout.processes) == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", platform.port), timeout=1)


def test_an_order_outlives_the_death_of_everything(begin: Begin) -> None:
    platform = begin()
    platform.start()
    citizen, merchant = platform.token("citizen-0001"), platform.token("merchant-gansu")
    [lily] = platform.get("/commerce/v1/products?q=%E7%99%BE%E5%90%88")["items"]
    assert (lily["id"], lily["sample"]) == (LILY, True)
    ordered = platform.order(citizen, LILY, 2, "first")
    assert ordered.status == 201, ordered
    notices = platform.layout.logs / "commerce-notices.log"
    wait_until(lambda: "order.placed" in notices.read_text(), "the notice of the order")

    sessions = platform.children()
    platform.kill_everything()
    wait_until(lambda: not platform.living(sessions), "the death of everything")
    platform.start()

    assert "Planting" not in platform.said()
    assert platform.get(f"/commerce/v1/orders/{ordered.json()['id']}", citizen) == ordered.json()
    assert platform.order(citizen, LILY, 2, "first").json() == ordered.json()
    theirs = platform.get(f"/commerce/v1/stores/{lily['store_id']}/orders", merchant)
    assert [order["order_id"] for order in theirs["items"]] == [ordered.json()["id"]]
    stock = platform.get(f"/commerce/v1/products/{LILY}/stock", merchant)
    assert stock["on_hand"] == lily["available"] - 2
    assert len(platform.get("/commerce/v1/stores?limit=100")["items"]) == 28

    status, words = told(platform)
    assert status == 3
    assert f"runs already: process {platform.runner.pid}" in words  # type: ignore[union-attr]
    assert f"http://127.0.0.1:{platform.port}" in words

    neighbour = begin("neighbour")
    neighbour.port = platform.port
    status, words = told(neighbour)
    assert status == 3
    assert f"Port {platform.port} is taken" in words
    assert f"make run PORT={platform.port + 1}" in words

    sessions = platform.children()
    assert platform.interrupt() == 0
    assert_nothing_left(platform, sessions)


def test_a_killed_runner_takes_everything_with_it(begin: Begin) -> None:
    platform = begin("run", "--store", "moto")
    platform.start()
    sessions = platform.children()
    platform.kill_runner()
    assert_nothing_left(platform, sessions)


def heard_until_ready(heard: int) -> None:
    """Read what the runner tells, until it is ready."""
    said = b""
    while READY.encode() not in said:
        assert select.select([heard], [], [], START_SECONDS)[0], said
        more = os.read(heard, 65536)
        assert more, said
        said += more


@pytest.mark.parametrize(
    ("channel", "signals"),
    [(os.pipe, [signal.SIGINT]), (os.openpty, [signal.SIGHUP] * 3)],
    ids=["of a pipe", "of a terminal, which asks three times"],
)
def test_an_end_that_nobody_hears_is_an_end_of_all(
    begin: Begin, channel: Callable[[], tuple[int, int]], signals: list[signal.Signals]
) -> None:
    platform = begin("run", "--store", "moto")
    heard, told = channel()
    platform.begin(told)
    os.close(told)
    heard_until_ready(heard)
    sessions = platform.children()
    os.close(heard)
    *first, last = signals
    for number in first:
        platform.runner.send_signal(number)  # type: ignore[union-attr]
    assert platform.interrupt(last) == 0
    assert_nothing_left(platform, sessions)


def test_what_dies_is_started_again(begin: Begin) -> None:
    platform = begin()
    platform.start()
    token = platform.token("citizen-0001")
    order = platform.order(token, LILY, 1, "before").json()["id"]
    for name in ("store", "gateway", "commerce", "identity", "commerce-notices"):
        revived(platform, name)

    def serves() -> bool:
        with suppress(OSError):
            answer = platform.request("GET", f"/commerce/v1/orders/{order}", token=token)
            return answer.status == 200
        return False

    wait_until(serves, "the order, from what was started again")
    assert platform.interrupt(signal.SIGTERM) == 0


def revived(platform: Platform, name: str) -> None:
    """Kill a program's leader, and wait for the runner to say so and to start another."""
    lock = processes.lock_of(name, platform.layout.processes)
    leader = lock.read_text()
    os.kill(int(leader), signal.SIGKILL)
    wait_until(lambda: f"{name} was ended by SIGKILL" in platform.said(), f"word of {name}")
    wait_until(lambda: lock.read_text() not in {"", leader}, f"the new {name}")


def assert_every_service_has_its_samples(platform: Platform) -> None:
    for service in SERVICES:
        platform.get(seed_of(service).last_planted(SystemClock().now_ms()))


def test_two_containers_share_one_journal_behind_tls(begin: Begin, tmp_path: Path) -> None:
    tls = Tls(*self_signed(tmp_path))
    platform = begin("a folder with spaces", "--store", "moto", "--containers", "2", tls=tls)
    platform.start()
    token = platform.token("citizen-0002")
    placed = [platform.order(token, LILY, 1, f"order-{number}").json() for number in range(3)]
    listed = platform.get("/commerce/v1/orders", token)["items"]
    assert [order["id"] for order in listed] == [order["id"] for order in reversed(placed)]
    assert_every_service_has_its_samples(platform)
    replicas = {f"{service}-{place}" for service in SERVICES for place in (1, 2, "notices")}
    wait_until(
        lambda: {path.name for path in platform.layout.replicas.iterdir()} == replicas,
        "a replica for each container and notifier",
    )
    assert platform.interrupt() == 0


def test_a_store_that_nobody_named_is_asked_for(begin: Begin) -> None:
    platform = begin("run", "--store", "s3")
    status, words = told(platform)
    assert status == 1
    assert "GANSU_STORE_ENDPOINT" in words


def test_a_folder_that_cannot_be_used_is_named(begin: Begin, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    status, words = told(begin("run"))
    assert status == 1
    assert f"{tmp_path / 'run'} cannot be used" in words
    assert "Traceback" not in words


def test_a_program_that_cannot_start_says_why(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last words are shown, and what had started already is stopped."""
    monkeypatch.setenv("GANSU_THREADS", "none")
    platform = begin("run", "--store", "moto")
    status, words = told(platform)
    assert status == 1
    assert "does not start" in words
    assert "GANSU_THREADS is a whole number" in words
    assert processes.left(platform.layout.processes) == []
