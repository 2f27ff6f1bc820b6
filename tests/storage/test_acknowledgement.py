"""Invariants 1 and 3: "done" is heard only once it is stored, and what is unknown is read."""

import threading
import time
from collections.abc import Callable

import pytest

from shared import errors
from shared.errors import Refused
from shared.storage import committer, rivals
from shared.storage.committer import CommitLimits
from shared.storage.journal import ATTEMPTS_MAX
from shared.storage.memory import Gate, Late, drop, lose_reply, refuse
from shared.storage.objects import Denied, Exists, StoreError, Uncertain
from tests.storage.world import (
    JOURNAL,
    PREFIX,
    Caller,
    Container,
    World,
    add_stock,
    claim,
    key,
    note,
    problem,
    sell,
    together,
)
from tests.support.waiting import wait_until

ERRORS: list[StoreError] = [Uncertain("500"), Uncertain("timeout"), Exists("409")]


@pytest.mark.parametrize("reply", [False, True], ids=["request held", "reply held"])
def test_nobody_hears_done_before_the_store_has_answered(here: Container, reply: bool) -> None:
    here.store.inject("create", gate := Gate(reply=reply), key=JOURNAL)
    pending = here.committer._enqueue(note("n"))
    gate.wait()

    seen = here.database.read(lambda view: view.get("notes", "n")).value
    assert (seen is not None) == reply, "what is stored is seen, what is not is not"
    # Whether a caller's thread has woken says nothing: it may be told and not yet have run.
    assert not pending._done.wait(0), "the answer is not given"
    gate.release()
    assert pending.result(10).seq == 2
    assert here.database.read(lambda view: view.get("notes", "n")).value is not None


def test_an_entry_is_not_begun_before_the_one_ahead_is_decided(here: Container) -> None:
    here.store.inject("create", gate := Gate(reply=True), key=JOURNAL)
    first = Caller(lambda: here.database.transact(note("first")))
    gate.wait()
    second = Caller(lambda: here.database.transact(note("second")))
    wait_until(lambda: len(here.committer._queue) == 1, "the second change is queued")

    assert [offered for offered, _ in here.store.offered if offered == key(3)] == []
    gate.release()
    assert (first.value().seq, second.value().seq) == (2, 3)


def test_no_entry_is_ever_overwritten_or_deleted(world: World) -> None:
    limits = CommitLimits(changes_max=2)
    containers = [world.container(name, limits=limits) for name in ("a", "b", "c")]
    containers[0].database.transact(add_stock("lily", 100))
    seen: dict[str, bytes] = {}
    for _ in range(6):
        together(*(lambda c=c: c.database.transact(sell("lily")) for c in containers for _ in "12"))
        for info in world.journal():
            stored = world.store.get(info.key)
            assert seen.setdefault(info.key, stored) == stored

    stock = containers[0].database.read(lambda view: view.require("stock", "lily")).value
    assert (stock.body["left"], stock.body["sold"]) == (64, 36)
    for container in containers:
        assert container.store.count("delete", PREFIX) == 0
        won = [k for k, body in container.store.offered if world.store.get(k) == body]
        assert len(set(won)) == len(won), "the same entry was stored twice"


def test_a_lost_reply_is_settled_by_reading(here: Container, world: World) -> None:
    here.database.transact(add_stock("lily", 1))
    here.store.inject("create", lose_reply, key=JOURNAL)

    done = here.database.transact(sell("lily"))

    assert done.seq == world.head() == 3
    assert here.store.count("create", JOURNAL, "Uncertain") == 1
    assert [write.collection for write in world.entries()[2].writes] == ["stock", "orders"]


@pytest.mark.parametrize("error", ERRORS, ids=str)
def test_absent_means_the_same_bytes_again_at_the_same_key(
    here: Container, error: StoreError
) -> None:
    here.store.inject("create", refuse(error), key=JOURNAL, times=ATTEMPTS_MAX - 1)

    assert here.database.transact(note("n")).seq == 2

    offers = [offer for offer in here.store.offered if offer[0] == key(2)]
    assert len(offers) == ATTEMPTS_MAX
    assert len(set(offers)) == 1


@pytest.mark.parametrize("error", ERRORS, ids=str)
def test_what_stays_unknown_is_busy_after_a_bounded_number_of_attempts(
    here: Container, world: World, error: StoreError
) -> None:
    here.database.transact(add_stock("lily", 1))
    here.store.inject("create", refuse(error), key=JOURNAL, times=ATTEMPTS_MAX)

    with pytest.raises(Refused) as refused:
        here.database.transact_once(claim("k"), sell("lily"))

    assert refused.value.problem == errors.BUSY
    assert refused.value.retry_after_seconds
    assert len([k for k, _ in here.store.offered if k == key(3)]) == ATTEMPTS_MAX
    assert world.head() == 2
    done = here.database.transact_once(claim("k"), sell("lily"))
    assert not done.replayed


def test_a_repetition_gets_the_truth_about_what_was_stored_unheard(
    here: Container, world: World
) -> None:
    here.database.transact(add_stock("lily", 1))
    here.store.inject("create", lose_reply, key=JOURNAL, times=ATTEMPTS_MAX)
    here.store.inject("get", drop, key=JOURNAL, times=ATTEMPTS_MAX)
    with pytest.raises(Refused):
        here.database.transact_once(claim("k"), sell("lily"))
    assert world.head() == 3, "it was stored"

    again = here.database.transact_once(claim("k"), sell("lily"))

    assert again.replayed
    assert world.head() == 3


def test_anothers_entry_in_the_place_is_a_loss_and_the_change_runs_again(
    here: Container, there: Container, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.database.transact(add_stock("lily", 1))
    there.database.transact(note("n"))
    here.probe()
    # It writes without looking first, as whoever has met nobody does.
    monkeypatch.setattr(rivals, "LATELY_SECONDS", -1.0)
    late = Late()
    here.store.inject("create", late, key=JOURNAL)
    here.store.inject("get", gate := Gate(), key=key(4))
    caller = Caller(lambda: here.database.transact(sell("lily")))
    gate.wait()
    sold = there.database.transact(sell("lily"))
    gate.release()

    assert caller.outcome().problem.slug == "sold-out"  # type: ignore[union-attr]
    assert sold.seq == world.head() == 4
    before = world.stored()
    with pytest.raises(Exists):
        late.land()
    assert world.stored() == before


def test_a_create_that_lands_after_the_caller_gave_up_counts_once(
    here: Container, world: World
) -> None:
    here.database.transact(add_stock("lily", 5))
    late = Late()
    here.store.inject("create", late, key=JOURNAL)
    here.store.inject("create", drop, key=JOURNAL, times=ATTEMPTS_MAX - 1)
    with pytest.raises(Refused):
        here.database.transact_once(claim("k"), sell("lily"))
    assert world.head() == 2
    late.land()

    again, other = together(
        lambda: here.database.transact_once(claim("k"), sell("lily")),
        lambda: here.database.transact_once(claim("other"), sell("lily")),
    )

    assert again.replayed  # type: ignore[union-attr]
    assert not other.replayed  # type: ignore[union-attr]
    stock = here.database.read(lambda view: view.require("stock", "lily")).value
    assert (stock.body["left"], stock.body["sold"]) == (3, 2)


def test_denied_is_not_absence_so_nothing_is_offered_again(here: Container, world: World) -> None:
    here.store.inject("create", lose_reply, key=JOURNAL)
    here.store.inject("get", refuse(Denied("403")), key=JOURNAL)

    with pytest.raises(Refused) as refused:
        here.database.transact_once(claim("k"), note("n"))

    assert refused.value.problem == errors.BUSY
    assert len(here.store.offered) == 2, "entry 1, and one attempt at entry 2"
    assert here.database.transact_once(claim("k"), note("n")).replayed


@pytest.mark.parametrize("error", [Denied("403"), Uncertain("500")], ids=str)
def test_an_error_is_no_proof_that_the_head_was_reached(
    here: Container, there: Container, error: StoreError
) -> None:
    here.database.transact(add_stock("lily", 0))
    there.database.transact(add_stock("lily", 5))
    here.store.inject("get", refuse(error), key=JOURNAL, times=2)

    read = Caller(lambda: here.database.read(lambda view: view.get("stock", "lily"))).outcome()
    sale = Caller(lambda: here.database.transact(sell("lily"))).outcome()

    assert problem(read) == errors.BUSY
    assert problem(sale) == errors.BUSY, "not sold out: the state was never proven"
    assert here.database.transact(sell("lily")).seq == 4


def test_an_object_of_garbage_in_the_place_is_neither_stored_nor_skipped(
    here: Container, world: World
) -> None:
    world.sound = False
    world.store.create(key(2), b"\x00garbage")

    outcome = Caller(lambda: here.database.transact(note("n"))).outcome()

    assert problem(outcome) == errors.BUSY
    assert world.head() == 2
    assert "entry 2" in here.database.troubles()[0]


def test_one_that_fell_behind_comes_level_before_it_writes(
    here: Container, there: Container, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would run its batch for every entry that it is behind, and never come level."""
    monkeypatch.setattr(rivals, "LATELY_SECONDS", 1e9)
    there.database.transact(note("n"))
    here.database.transact(note("n"))
    for _ in range(5):
        there.database.transact(note("n"))
    offered = len(here.store.offered)

    assert here.database.transact(note("n")).seq == world.head()
    assert len(here.store.offered) == offered + 1


def test_one_whose_turn_is_later_waits_no_longer_than_the_others_have_something_to_write(
    here: Container, there: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rivals, "LATELY_SECONDS", 1e9)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        if threading.current_thread().name == "committer":
            slept.append(seconds)
            here.clock.pass_monotonic(seconds)
        else:
            time.sleep(seconds)

    monkeypatch.setattr(here.clock, "sleep", sleep)
    there.database.transact(note("n"))
    here.database.transact(note("n"))
    here.clock.pass_monotonic(committer.YIELD_SECONDS_MAX)
    here.database.transact(note("n"))
    assert slept == []
    here.database.transact(note("n"))
    assert 0 < sum(slept) <= committer.YIELD_SECONDS_MAX


def one_more(here: Container) -> Caller[int]:
    """A change that is queued while the committer is at others."""
    late = Caller(lambda: here.database.transact(note("late")).seq)
    wait_until(lambda: len(here.committer._queue) == 1, "the late change is queued")
    return late


def test_who_comes_while_a_container_waits_for_its_turn_goes_along(
    here: Container, there: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next turn is as many entries away as there are containers."""
    monkeypatch.setattr(rivals, "LATELY_SECONDS", 1e9)
    late: list[Caller[int]] = []

    def sleep(seconds: float) -> None:
        if threading.current_thread().name != "committer":
            time.sleep(seconds)
            return
        if not late:
            late.append(one_more(here))
        here.clock.pass_monotonic(seconds)

    there.database.transact(note("n"))
    here.database.transact(note("n"))
    monkeypatch.setattr(here.clock, "sleep", sleep)
    first = here.database.transact(note("first")).seq

    assert late[0].value() == first


def test_a_batch_that_runs_again_takes_nobody_else_along(
    here: Container, there: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its refusals would have to be proven for the newest anew each time, and might never be."""
    monkeypatch.setattr(rivals, "LATELY_SECONDS", 1e9)
    late: list[Caller[int]] = []

    def overtaken(apply: Callable[[], object]) -> object:
        there.database.transact(note("quicker"))
        late.append(one_more(here))
        return apply()

    there.database.transact(note("n"))
    here.store.inject("create", overtaken, key=JOURNAL)
    first = here.database.transact(note("first")).seq

    assert late[0].value() > first
