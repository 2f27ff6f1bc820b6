"""§7.4 Replica loss: what a container derives from the journal can go at any moment.

Under load the replica's file, its folder, everything under the container's replica directory, or
that directory itself is deleted. Nothing is lost and trade goes on, without a restart.
"""

import random
import shutil
import time
from collections.abc import Callable, Iterator

import pytest

from tests.support.crowds import Crowd, Venue
from tests.support.fleet import Container, Fleet
from tests.support.venues import VENUES, fleet_of

CITIZENS = 12
SEED = 620700
LOSSES, LOSSES_PROOF = 8, 40

STALL_SECONDS_MAX = 10.0


def lose_file(container: Container) -> None:
    """What SQLite keeps, but for its log."""
    for file in container.replicas.rglob("replica.db"):
        file.unlink(missing_ok=True)


def lose_log(container: Container) -> None:
    for file in container.replicas.rglob("replica.db-*"):
        file.unlink(missing_ok=True)


def lose_folder(container: Container) -> None:
    """The published replica's folder, whole; the locks beside it stay."""
    for link in container.replicas.rglob("current"):
        shutil.rmtree(link.resolve(), ignore_errors=True)


def lose_directory(container: Container) -> None:
    """Everything that the container keeps, locks and all."""
    shutil.rmtree(container.replicas, ignore_errors=True)


LOSING: tuple[Callable[[Container], None], ...] = (
    lose_file,
    lose_log,
    lose_folder,
    lose_directory,
)


@pytest.fixture(scope="module", params=VENUES)
def fleet(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fleet]:
    with fleet_of(request.param, tmp_path_factory.mktemp("replica-loss")) as running:
        yield running


@pytest.mark.proof
@pytest.mark.timeout(1200)
def test_a_replica_that_goes_under_load_takes_nothing_along(
    fleet: Fleet, venue: Venue, proof: bool
) -> None:
    chance = random.Random(SEED)
    stalls: list[float] = []
    workers = [container.workers() for container in fleet.containers]

    with Crowd(venue, fleet.doors, citizens=CITIZENS, seed=SEED) as crowd:
        for number in range(LOSSES_PROOF if proof else LOSSES):
            crowd.await_trade()
            time.sleep(chance.uniform(0, 0.5))
            began = time.monotonic()
            LOSING[number % len(LOSING)](chance.choice(fleet.containers))
            crowd.await_trade()
            stalls.append(crowd.longest_gap(began, time.monotonic()))
        fleet.wait_ready()
    assert workers == [container.workers() for container in fleet.containers]
    fleet.restart()
    crowd.settle()

    books = venue.assert_books_agree()
    print(
        f"\n{len(stalls)} losses: {books.taken} taken in {books.entries} entries,"
        f" longest stall {max(stalls):.1f} s"
    )
    assert max(stalls) < STALL_SECONDS_MAX
