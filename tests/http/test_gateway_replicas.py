"""Containers behind one name, which come and go: what the gateway asks, and never asks twice.

The second container is on 127.0.0.2, which every Linux has.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.gateway import Service
from tests.support.gateway import GatewayServer, before
from tests.support.names import NameServer
from tests.support.upstream import Reply, Upstream
from tests.support.waiting import wait_until

POST = ("POST", "/commerce/v1/orders")


@pytest.fixture
def one() -> Iterator[Upstream]:
    with Upstream() as upstream:
        yield upstream


@pytest.fixture
def two(one: Upstream) -> Iterator[Upstream]:
    with Upstream(host="127.0.0.2", port=one.port) as upstream:
        yield upstream


def behind(directory: Path, names: NameServer, port: int) -> GatewayServer:
    services = (Service("commerce", (f"commerce.test:{port}",)),)
    return before(directory, services=services, resolver=names.address, resolver_seconds=1)


def await_served(gateway: GatewayServer) -> None:
    wait_until(lambda: gateway.get("/commerce/v1/orders/0").status == 200, "the name's address")


def methods(upstream: Upstream) -> list[str]:
    return [arrived.method for arrived in upstream.arrived]


def test_it_starts_before_the_name_is_known_and_serves_when_it_is(
    tmp_path: Path, one: Upstream
) -> None:
    with NameServer() as names, behind(tmp_path, names, one.port) as gateway:
        assert gateway.get("/commerce/v1/orders/0").status == 502
        names.addresses = ("127.0.0.1",)
        await_served(gateway)


def test_reads_go_round_and_writes_keep_to_one(
    tmp_path: Path, one: Upstream, two: Upstream
) -> None:
    with (
        NameServer("127.0.0.1", "127.0.0.2") as names,
        behind(tmp_path, names, one.port) as gateway,
    ):
        await_served(gateway)
        for number in range(8):
            assert gateway.get(f"/commerce/v1/orders/{number}").status == 200
            assert gateway.request(*POST, body=b"{}").status == 200
    assert "GET" in methods(one)
    assert "GET" in methods(two)
    assert sorted([methods(one).count("POST"), methods(two).count("POST")]) == [0, 8]


def test_one_that_came_is_asked_and_one_that_went_is_not(
    tmp_path: Path, one: Upstream, two: Upstream
) -> None:
    with NameServer("127.0.0.1") as names, behind(tmp_path, names, one.port) as gateway:
        await_served(gateway)
        names.addresses = ("127.0.0.2",)

        def moved() -> bool:
            gateway.get("/commerce/v1/orders/1")
            return bool(two.arrived)

        wait_until(moved, "the name's new address")
        wait_until(lambda: gateway.request(*POST, body=b"{}").status == 200, "a write")
        before_that = len(one.arrived)
        for _ in range(5):
            assert gateway.request(*POST, body=b"{}").status == 200
    assert len(one.arrived) == before_that


def test_a_post_that_one_took_and_dropped_is_not_sent_to_another(
    tmp_path: Path, one: Upstream, two: Upstream
) -> None:
    one.script = two.script = lambda arrived: Reply(drop=arrived.method == "POST")
    with (
        NameServer("127.0.0.1", "127.0.0.2") as names,
        behind(tmp_path, names, one.port) as gateway,
    ):
        await_served(gateway)
        answer = gateway.request(*POST, {"Idempotency-Key": "k"}, b"{}")
    assert answer.status == 502
    assert (methods(one) + methods(two)).count("POST") == 1


def test_a_post_that_nobody_took_is_sent_to_another(tmp_path: Path, one: Upstream) -> None:
    """Nothing listens at 127.0.0.2, whichever of the two writes keep to."""
    with (
        NameServer("127.0.0.2", "127.0.0.1") as names,
        behind(tmp_path, names, one.port) as gateway,
    ):
        await_served(gateway)
        for _ in range(6):
            assert gateway.request(*POST, body=b"{}").status == 200
    assert methods(one).count("POST") == 6
