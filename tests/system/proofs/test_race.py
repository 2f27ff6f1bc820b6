"""§7.1 Race: ten units and forty citizens at once give ten orders and thirty clear refusals.

Over the real gateway: before one container of two processes; before two containers, each with a
replica of its own; and through two gateways that prefer different containers, so that both write
at the same time. And the reverse: what was added through one container can be bought through the
other at once.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest

from tests.support.crowds import Reply
from tests.support.fleet import Door, Fleet
from tests.support.patients import Patient, Ward
from tests.support.shoppers import Citizen, Market, open_market
from tests.support.tourists import Site, Tourist

UNITS = 10
CITIZENS = 40
RACES, RACES_CEPH = 10, 20


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet(tmp_path_factory.mktemp("race"), containers=2, gateways=2) as running:
        yield running


@pytest.fixture(scope="module")
def lone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """One container of two processes."""
    with Fleet(tmp_path_factory.mktemp("race-lone")) as running:
        yield running


C = TypeVar("C", Citizen, Tourist, Patient)


def at_once(citizens: Sequence[C], nearby: str, take: Callable[[C], Reply]) -> list[Reply]:
    """All of them take something at the same moment, over connections that are there."""
    start = threading.Barrier(len(citizens))

    def taken(citizen: C) -> Reply:
        citizen.client.ask("GET", nearby)
        start.wait()
        return take(citizen)

    with ThreadPoolExecutor(len(citizens)) as pool:
        return list(pool.map(taken, citizens))


def outcomes(replies: Sequence[Reply]) -> Counter[object]:
    """How often each status, or problem, was answered."""
    return Counter(reply.status if reply.status == 201 else reply.problem for reply in replies)


def race(market: Market, doors: Sequence[Door], product: str) -> list[Reply]:
    """Forty citizens, spread over the doors, order one unit at the same moment."""
    citizens = [Citizen(market, doors[n % len(doors)]) for n in range(CITIZENS)]
    replies = at_once(citizens, "/commerce/v1/pavilions", lambda each: each.order({product: 1}))
    for citizen in citizens:
        citizen.settle()
        assert citizen.surprises == []
    return replies


def assert_ten_are_sold(market: Market, doors: Sequence[Door]) -> None:
    owner = market.owner(market.fleet.doors[0])
    product = market.add_product(owner, market.stores[0], UNITS)
    owner.close()

    replies = race(market, doors, product)

    assert outcomes(replies) == {201: UNITS, "sold-out": CITIZENS - UNITS}
    assert all(reply.body["product_id"] == product for reply in replies if reply.status == 409)


def test_one_container_of_two_processes(lone: Fleet) -> None:
    market = open_market(lone, stores=1)
    for _ in range(RACES):
        assert_ten_are_sold(market, lone.doors)
    assert len(lone.assert_books_agree().writers) == 2


def test_two_containers(fleet: Fleet) -> None:
    market = open_market(fleet, stores=1)
    for _ in range(RACES):
        assert_ten_are_sold(market, fleet.doors[:1])
    fleet.assert_books_agree()


def test_two_containers_that_both_write(fleet: Fleet) -> None:
    assert_both_write(fleet, RACES)


def assert_both_write(fleet: Fleet, races: int) -> None:
    """Ten are sold each time, and the entries of these races are of all containers.

    In turn, one of them has eight of the forty: fewer than there are units, so the other has to
    sell as well. Between equals the container that the merchant delivers through, being level with
    the journal, can sell all ten each time.
    """
    market = open_market(fleet, stores=1)
    before = fleet.assert_books_agree().writers
    for turn in range(races):
        few, many = fleet.doors[turn % 2], fleet.doors[1 - turn % 2]
        assert_ten_are_sold(market, [few, *4 * [many]])
    wrote = fleet.assert_books_agree().writers - before
    containers = {writer.rpartition(".")[0] for writer in wrote}
    assert containers == {container.program.name for container in fleet.containers}


def test_two_containers_that_both_write_on_ceph(tmp_path: Path) -> None:
    """There a contended create is decided in milliseconds, not in seconds as by SeaweedFS."""
    with Fleet(tmp_path, containers=2, gateways=2, ceph=True) as fleet:
        assert_both_write(fleet, RACES_CEPH)


def test_what_is_added_through_one_container_is_sold_through_the_other_at_once(
    fleet: Fleet,
) -> None:
    market = open_market(fleet, stores=1)
    doors = [container.door for container in fleet.containers]
    owners = [market.owner(door) for door in doors]
    product = market.add_product(owners[0], market.stores[0], 0)
    buyers = [Citizen(market, door) for door in doors]
    for turn in range(100):
        here, there = turn % 2, 1 - turn % 2
        refused = buyers[there].order({product: 1})
        assert (refused.status, refused.problem) == (409, "sold-out")
        market.deliver(owners[here], product, 1)
        assert buyers[there].order({product: 1}).status == 201
    for client in (*owners, *(buyer.client for buyer in buyers)):
        client.close()
    fleet.assert_books_agree()


# The last places of a session


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    root = tmp_path_factory.mktemp("race-tourism")
    with Fleet(root, service="tourism", containers=2, gateways=2) as running:
        running.plant()
        yield Site(running)


def test_the_last_ten_places_of_a_session(sites: Site) -> None:
    doors = sites.fleet.doors
    for _ in range(RACES):
        session = sites.open_session(doors[0], UNITS)
        tourists = [Tourist(sites, doors[n % len(doors)]) for n in range(CITIZENS)]
        replies = at_once(
            tourists,
            f"/tourism/v1/sessions/{session}",
            lambda each, session=session: each.book(session),  # type: ignore[misc]
        )
        for tourist in tourists:
            tourist.client.close()
        assert outcomes(replies) == {201: UNITS, "no-places-left": CITIZENS - UNITS}
    sites.assert_books_agree()


# The last places of a doctor's hour


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    root = tmp_path_factory.mktemp("race-health")
    with Fleet(root, service="health", containers=2, gateways=2) as running:
        running.plant()
        yield Ward(running)


def test_the_last_ten_places_of_a_doctors_hour(ward: Ward) -> None:
    doors = ward.fleet.doors
    for _ in range(RACES):
        hour = ward.open_hour(doors[0], UNITS)
        patients = [Patient(ward, doors[n % len(doors)]) for n in range(CITIZENS)]
        replies = at_once(
            patients,
            f"/health/v1/sessions/{hour.session}",
            lambda each, hour=hour: each.book(hour),  # type: ignore[misc]
        )
        for patient in patients:
            patient.client.close()
        assert outcomes(replies) == {201: UNITS, "fully-booked": CITIZENS - UNITS}
    ward.assert_books_agree()
