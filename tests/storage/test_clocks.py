"""Invariant 5: no clock is trusted for safety."""

import pytest

from shared import errors
from shared.storage.committer import CLOCK_SKEW_MS_MAX
from tests.storage.world import Caller, Container, World, note, problem, sell
from tests.support.clock import FakeClock

SECONDS_MAX = CLOCK_SKEW_MS_MAX / 1000


def test_entry_times_never_go_back(here: Container, there: Container, world: World) -> None:
    here.clock.pass_wall(seconds=20)
    here.database.transact(note("a"))
    there.database.transact(note("b"))
    here.clock.pass_wall(seconds=-40)
    here.database.transact(note("c"))

    start = world.entries()[0].time_ms
    times = [entry.time_ms - start for entry in world.entries()]
    assert times == [0, 20_000, 20_000, 20_000]


def test_a_change_sees_the_entrys_time(here: Container, world: World) -> None:
    here.clock.pass_wall(seconds=7)
    seen = here.database.transact(lambda tx: (tx.put("notes", "n", {}), tx.now_ms)[1])

    assert seen.value == world.entries()[1].time_ms


@pytest.mark.parametrize("off", [SECONDS_MAX + 1, -SECONDS_MAX - 1, 3600, -3600])
def test_a_writer_far_from_the_stores_clock_does_not_write(
    here: Container, world: World, off: float
) -> None:
    here.clock.pass_wall(seconds=off)
    here.probe()

    outcome = Caller(lambda: here.database.transact(note("n"))).outcome()

    assert problem(outcome) == errors.BUSY
    assert world.head() == 1
    assert "clock" in here.database.troubles()[0]
    assert here.database.read(lambda view: view.seq).value == 1, "it still reads"
    missing = Caller(lambda: here.database.transact(sell("lily"))).outcome()
    assert problem(missing) == errors.NOT_FOUND, "and refuses"
    here.clock.pass_wall(seconds=-off)
    here.probe()
    assert here.database.troubles() == []
    assert here.database.transact(note("n")).seq == 2


@pytest.mark.parametrize("off", [SECONDS_MAX - 1, 1 - SECONDS_MAX])
def test_a_writer_a_little_off_writes(here: Container, off: float) -> None:
    here.clock.pass_wall(seconds=off)
    here.probe()

    assert here.database.transact(note("n")).seq == 2


def test_a_clock_that_jumped_since_the_store_last_answered_stores_nothing(
    here: Container, world: World
) -> None:
    """As when a frozen machine thaws: what is known of the skew is from before."""
    here.clock.pass_wall(hours=24)

    Caller(lambda: here.database.transact(note("n"))).outcome()

    assert {entry.time_ms for entry in world.entries()} == {FakeClock().wall_ms}
