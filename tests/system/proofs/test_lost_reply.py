"""§7.3 Lost reply: a store that stores an entry and does not say so neither costs nor doubles one.

A proxy stands between commerce and the store. Under load it applies a create and then says nothing,
noise, an error, or the truth too late; or applies it late, or never. First each in turn, then as a
seed has it, reads included.
"""

import random
import time
from collections.abc import Iterator

import pytest

from shared.storage.http1 import SILENCE_SECONDS
from shared.storage.journal import ATTEMPTS_MAX
from tests.support.crowds import Crowd, Venue
from tests.support.fault_proxy import (
    Dam,
    Fault,
    FaultProxy,
    delayed,
    drop,
    fail,
    garble,
    late,
    lose_reply,
)
from tests.support.fleet import Fleet
from tests.support.stub_http import Request
from tests.support.venues import FLEETS, ON_CEPH, fleet_of
from tests.support.waiting import wait_until

CITIZENS = 12
SEED = 621200
FAULTS, FAULTS_PROOF = 40, 400

TOO_LATE_SECONDS = SILENCE_SECONDS + 0.5
"""Longer than a writer waits for a word from the store."""

ANSWER_SECONDS_MAX = 17.0
"""The gateway's patience and two seconds: whatever the store does, every request is answered."""

KINDS = (lose_reply, garble, fail, drop, late(TOO_LATE_SECONDS), delayed(TOO_LATE_SECONDS))


@pytest.fixture(scope="module", params=FLEETS)
def fleet(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fleet]:
    with fleet_of(request.param, tmp_path_factory.mktemp("lost-reply"), faults=True) as running:
        yield running


def proxy_of(fleet: Fleet) -> FaultProxy:
    assert fleet.proxy is not None
    return fleet.proxy


def await_met(proxy: FaultProxy) -> None:
    """Return when every injected fault has met a request."""
    wait_until(lambda: not proxy.pending, "the faults are met", seconds=60)


@pytest.mark.timeout(300)
def test_each_way_to_lose_a_reply_in_turn(fleet: Fleet, venue: Venue) -> None:
    proxy = proxy_of(fleet)

    with Crowd(venue, fleet.doors[:1], citizens=CITIZENS, seed=SEED) as crowd:
        for kind in KINDS:
            # Twice in a row: the second attempt at the same entry meets it as well.
            proxy.inject(kind, method="PUT", path="/journal/", times=2)
            await_met(proxy)
            crowd.await_trade()
    fleet.restart()
    crowd.settle()

    venue.assert_books_agree()


# What is given up is the engine's; it knows nothing of what a service does.
@pytest.mark.parametrize("fleet", ["commerce", ON_CEPH], indirect=True)
@pytest.mark.timeout(300)
def test_an_entry_lands_after_its_writer_gave_it_up(fleet: Fleet, venue: Venue) -> None:
    """All attempts at an entry time out and everyone is refused; then, while the next batch is on
    its way to the same place, the store gets the first.
    """
    proxy = proxy_of(fleet)
    dam = Dam()

    with Crowd(venue, fleet.doors[:1], citizens=CITIZENS, seed=SEED) as crowd:
        crowd.await_trade()
        proxy.inject(dam, method="PUT", path="/journal/", times=10 * ATTEMPTS_MAX)
        wait_until(
            lambda: first_is_given_up(dam.held),
            "the first batch is given up, and another one goes to the same place",
            seconds=60,
        )
        first = dam.held[0]
        dam.let_through(first.body)
        with fleet.bucket() as bucket:
            wait_until(lambda: bucket.list(key_of(first), limit=1) != [], "the store has the first")
        dam.open()
        proxy.forget()
        crowd.await_trade()
    fleet.restart()
    crowd.settle()

    venue.assert_books_agree()
    with fleet.bucket() as bucket:
        assert bucket.get(key_of(first)) == first.body


def first_is_given_up(creates: list[Request]) -> bool:
    """Whether the first has had all its attempts, and another batch is offered in its place."""
    if not creates:
        return False
    there = [create.body for create in creates if create.target == creates[0].target]
    return there.count(creates[0].body) == ATTEMPTS_MAX and len(set(there)) > 1


@pytest.mark.parametrize("fleet", ["commerce", ON_CEPH], indirect=True)
@pytest.mark.timeout(300)
def test_a_store_that_stands_still_gets_all_attempts_when_it_goes_on(
    fleet: Fleet, venue: Venue
) -> None:
    """Requests lie in a frozen store's sockets, long given up, until it thaws and serves them."""

    with Crowd(venue, fleet.doors, citizens=CITIZENS, seed=SEED) as crowd:
        crowd.await_trade()
        with fleet.store.frozen():
            time.sleep(ATTEMPTS_MAX * TOO_LATE_SECONDS)
        crowd.await_trade()
    fleet.restart()
    crowd.settle()

    venue.assert_books_agree()
    assert crowd.slowest_seconds < ANSWER_SECONDS_MAX


def key_of(put: Request) -> str:
    """The object's key; the target begins with the bucket."""
    return put.target.split("/", 2)[2]


@pytest.mark.proof
@pytest.mark.timeout(3600)
def test_replies_lost_at_random(fleet: Fleet, venue: Venue, proof: bool) -> None:
    proxy = proxy_of(fleet)
    chance = random.Random(SEED)
    faults = FAULTS_PROOF if proof else FAULTS

    with Crowd(venue, fleet.doors, citizens=CITIZENS, seed=SEED) as crowd:
        for _ in range(faults):
            time.sleep(chance.uniform(0, 0.3))
            method = chance.choice(("PUT", "PUT", "PUT", "GET"))
            proxy.inject(_chosen(chance), method=method, path="/journal/")
            wait_until(lambda: proxy.pending < 4, "a fault is met", seconds=60)
        await_met(proxy)
        crowd.await_trade()
    fleet.restart()
    crowd.settle()

    books = venue.assert_books_agree()
    print(f"\n{faults} faults: {books.taken} taken in {books.entries} entries")


def _chosen(chance: random.Random) -> Fault:
    """The slow ones are rarer: each costs seconds."""
    return chance.choices(KINDS, (4, 4, 4, 4, 1, 1))[0]
