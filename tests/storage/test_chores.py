"""What a service tidies by itself: while its container serves, and without keeping it awake."""

import threading

import pytest

from shared.storage.access import Chore, ReadView, Transaction
from shared.storage.chores import CHORES_MAX
from tests.storage.world import World, note
from tests.support.waiting import wait_until


def is_due(view: ReadView, now_ms: int) -> bool:
    return now_ms > 0 and view.get("notes", "litter") is not None


def tidy(tx: Transaction) -> None:
    tx.delete("notes", "litter")


def test_what_is_due_is_done_though_nobody_asks(world: World) -> None:
    here = world.container("here", tails=True, chore=Chore(is_due, tidy))
    here.database.transact(note("kept"))
    here.database.transact(note("litter"))

    wait_until(lambda: world.head() == 4, "it is tidied")
    left = here.database.read(lambda view: [view.get("notes", n) for n in ("kept", "litter")])
    assert [each is not None for each in left.value] == [True, False]


def test_an_idle_container_does_no_chores_and_is_not_kept_awake_by_them(world: World) -> None:
    looks: list[int] = []

    def never(_view: ReadView, now_ms: int) -> bool:
        looks.append(now_ms)
        return False

    here = world.container("here", tails=True, chore=Chore(never, tidy))
    here.database.transact(note("n"))
    wait_until(lambda: len(looks) >= 2, "it looks, and looks again")
    here.clock.pass_monotonic(60)
    tailer = here.database._opened().tailer
    wait_until(lambda: not tailer._wake.is_set(), "the tailer sleeps")
    seen = len(looks)

    here.clock.pass_monotonic(600)
    threading.Event().wait(0.7)
    assert len(looks) - seen <= 1, "the one that was under way"


def test_a_chore_that_fails_is_tried_again(world: World, caplog: pytest.LogCaptureFixture) -> None:
    tried: list[int] = []

    def clumsy(tx: Transaction) -> None:
        tried.append(tx.seq)
        if len(tried) == 1:
            raise ValueError("dropped it")
        tidy(tx)

    here = world.container("here", tails=True, chore=Chore(is_due, clumsy))
    here.database.transact(note("litter"))

    wait_until(lambda: world.head() == 3, "it is tidied at the second try")
    assert "dropped it" in caplog.text


def test_a_chore_that_is_never_done_ends_for_now(world: World) -> None:
    done: list[int] = []
    here = world.container("here")
    here.database._chores.chore = Chore(lambda view, now_ms: True, lambda tx: done.append(tx.seq))

    here.database._chores.tidy()

    assert len(done) == CHORES_MAX
