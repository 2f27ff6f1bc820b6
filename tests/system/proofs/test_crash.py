"""§7.2 Crash: whatever is killed under load, every acknowledged order, booking and
appointment is there, once.

Citizens who insist trade without pause while, at moments and in an order that a seed fixes, a
worker, a whole container or the object store is killed by SIGKILL and started again. In the end
everything is killed at once, and the journal is held against what everyone was told.

Five kills in CI; fifty by `make proof`.
"""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from shared.storage.turnstile import PATIENCE_SECONDS
from shared.storage.wal import BUSY_SECONDS
from tests.support.crowds import Crowd, Venue
from tests.support.fleet import Fleet, Part
from tests.support.shoppers import open_market
from tests.support.venues import FLEETS, fleet_of

CITIZENS = 12
SEED = 620102
KILLS, KILLS_PROOF = 5, 50
FREEZES, FREEZES_PROOF = 2, 10

REBUILD_SECONDS = 4.0

STALL_SECONDS_MAX = 2 * PATIENCE_SECONDS + BUSY_SECONDS + REBUILD_SECONDS
"""A frozen committer costs the others one turn's patience, and whoever comes during a round that
round's too. Where it froze inside its millisecond of SQLite, they wait for that as well, and build
another replica.
"""

FROZEN_SECONDS = 4.0


@pytest.fixture(scope="module", params=FLEETS)
def fleet(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fleet]:
    with fleet_of(request.param, tmp_path_factory.mktemp("crash")) as running:
        yield running


class Killer:
    """Kills parts of a platform by SIGKILL, each kind about as often, as a seed has it."""

    def __init__(self, fleet: Fleet, seed: int) -> None:
        self._fleet = fleet
        self.chance = random.Random(seed)
        self._kinds: list[Callable[[], None]] = []
        self.kills = 0

    def strike(self) -> None:
        """Kill once more, and start again what does not do so by itself."""
        if not self._kinds:
            self._kinds = [self._worker, self._container, self._store, self._worker, self._site]
            self.chance.shuffle(self._kinds)
        self._kinds.pop()()
        self.kills += 1

    def _worker(self) -> None:
        """Its gunicorn starts another one."""
        workers = [pid for container in self._fleet.containers for pid in container.workers()]
        with suppress(ProcessLookupError):
            os.kill(self.chance.choice(workers), signal.SIGKILL)

    def _container(self) -> None:
        self._bounce(self.chance.choice(self._fleet.containers))

    def _site(self) -> None:
        """All containers at once."""
        self._bounce(*self._fleet.containers)

    def _bounce(self, *parts: Part) -> None:
        for part in parts:
            part.kill()
        self._pause()
        for part in parts:
            part.start()

    def _store(self) -> None:
        self._fleet.store.kill_some(self.chance)
        self._pause()
        self._fleet.store.start()

    def _pause(self) -> None:
        time.sleep(self.chance.uniform(0, 1))


@pytest.mark.proof
@pytest.mark.timeout(3600)
def test_whatever_was_acknowledged_outlives_kill_9(fleet: Fleet, venue: Venue, proof: bool) -> None:
    killer = Killer(fleet, SEED)
    outages: list[float] = []

    with Crowd(venue, fleet.doors, citizens=CITIZENS, seed=SEED) as crowd:
        for _ in range(KILLS_PROOF if proof else KILLS):
            crowd.await_trade()
            time.sleep(killer.chance.uniform(0, 1))
            began = time.monotonic()
            killer.strike()
            crowd.await_trade()
            outages.append(crowd.longest_gap(began, time.monotonic()))
    fleet.restart()
    crowd.settle()

    books = venue.assert_books_agree()
    print(
        f"\n{killer.kills} kills: {books.taken} taken in {books.entries} entries,"
        f" longest outage {max(outages):.1f} s"
    )


# What is frozen is the engine; it knows nothing of what a service does.
@pytest.mark.parametrize("fleet", ["commerce"], indirect=True)
@pytest.mark.proof
@pytest.mark.timeout(1200)
def test_a_frozen_committer_stops_the_others_only_briefly(fleet: Fleet, proof: bool) -> None:
    market = open_market(fleet, stores=1, products=4)
    container = fleet.containers[0]
    crowds: list[Crowd] = []
    waits: list[float] = []

    def crowd(citizens: int) -> Crowd:
        # Each request on a connection of its own: only a worker that runs accepts one.
        doors = [container.door]
        crowds.append(Crowd(market, doors, citizens=citizens, seed=SEED + len(crowds), keeps=False))
        return crowds[-1]

    with crowd(CITIZENS):
        for number in range(FREEZES_PROOF if proof else FREEZES):
            container.await_all_committing()
            frozen = container.freeze_committing()
            with crowd(CITIZENS // 2) as newcomers:
                newcomers.await_trade()
                time.sleep(FROZEN_SECONDS)
            waits.append(newcomers.slowest_seconds)
            os.kill(frozen, signal.SIGKILL if number % 2 else signal.SIGCONT)
    fleet.restart()
    for each in crowds:
        each.settle()

    ledger = fleet.assert_books_agree()
    print(
        f"\n{len(waits)} freezes of the committer: {len(ledger.orders)} orders,"
        f" longest waits {', '.join(f'{wait:.2f}' for wait in sorted(waits))} s"
    )
    assert max(waits) < STALL_SECONDS_MAX
