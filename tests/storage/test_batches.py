"""Invariants 7 and 11: changes share an entry without sharing their fates, within bounds."""

import logging
import time
from collections.abc import Callable

import pytest

from shared import errors
from shared.errors import Refused
from shared.storage import committer, replica
from shared.storage.access import Committed, Document, Transaction
from shared.storage.committer import CommitLimits
from shared.storage.memory import Gate
from shared.storage.transaction import CHANGE_CPU_SECONDS_MAX, DOCUMENT_BYTES_MAX
from tests.storage.world import (
    JOURNAL,
    SOLD_OUT,
    Caller,
    Container,
    World,
    add_stock,
    note,
    problem,
    sell,
)
from tests.support.waiting import wait_until


class Broken(Exception):  # noqa: N818 - not an error of the program
    """A change's own."""


def breaking(tx: Transaction) -> Document:
    tx.put("notes", "shared", {"text": "broken"})
    tx.delete("notes", "kept")
    tx.emit("broken", {})
    raise Broken


def test_a_changes_own_exception_leaves_nothing_while_the_others_commit(
    here: Container, world: World
) -> None:
    here.database.transact(note("kept", "kept"))
    with here.one_batch() as queue:
        before = queue(note("shared", "before"))
        broken = queue(breaking)
        seen = queue(lambda tx: tx.require("notes", "shared").body["text"])
        after = queue(note("after"))

    assert isinstance(broken.outcome(), Broken)
    assert before.value().seq == after.value().seq == 4
    assert seen.value().value == "before"
    entry = world.entries()[3]
    assert {write.key for write in entry.writes} == {"shared", "after"}
    assert entry.events == ()
    text = here.database.read(lambda view: view.require("notes", "kept")).value.body["text"]
    assert text == "kept"


def test_changes_of_a_batch_see_those_before_them(here: Container) -> None:
    with here.one_batch() as queue:
        stocked = queue(add_stock("lily", 1))
        first, second = queue(sell("lily")), queue(sell("lily"))

    assert stocked.value().seq == first.value().seq
    assert problem(second.outcome()) == SOLD_OUT


def test_a_batch_that_loses_the_race_leaves_nothing_of_its_effects(
    here: Container, there: Container, world: World
) -> None:
    here.database.transact(add_stock("lily", 1))
    there.probe()
    runs: list[int] = []

    def counted(tx: Transaction) -> Document:
        runs.append(tx.seq)
        return sell("lily")(tx)

    here.store.inject("create", gate := Gate(), key=JOURNAL)
    loser = Caller(lambda: here.database.transact(counted))
    gate.wait()
    there.database.transact(sell("lily"))
    gate.release()

    assert problem(loser.outcome()) == SOLD_OUT
    assert runs == [2, 3]
    orders = [w for e in world.entries() for w in e.writes if w.collection == "orders"]
    assert len(orders) == 1
    assert len(here.dump()) == 2


def big(key: str, size: int) -> Callable[[Transaction], Document]:
    return lambda tx: tx.put("notes", key, {"text": "x" * size})


def test_an_oversized_change_is_refused_alone(world: World) -> None:
    here = world.container("here", limits=CommitLimits(entry_bytes_max=5000))
    with here.one_batch() as queue:
        before, huge, after = queue(note("before")), queue(big("huge", 6000)), queue(note("after"))

    assert problem(huge.outcome()) == errors.TOO_LARGE
    assert (before.value().seq, after.value().seq) == (3, 4)
    assert here.database.read(lambda view: view.get("notes", "huge")).value is None


def test_a_batch_is_cut_at_its_size_and_at_its_number_of_changes(world: World) -> None:
    here = world.container("here", limits=CommitLimits(entry_bytes_max=5000, changes_max=4))
    with here.one_batch() as queue:
        large = [queue(big(f"large{i}", 2000)) for i in range(3)]
        small = [queue(note(f"small{i}")) for i in range(6)]

    assert [caller.value().seq for caller in large] == [3, 3, 4]
    assert [caller.value().seq for caller in small] == [4, 5, 5, 5, 5, 6]


def test_a_document_or_key_beyond_its_bound_is_the_changes_own_mistake(here: Container) -> None:
    with here.one_batch() as queue:
        large = queue(big("large", DOCUMENT_BYTES_MAX))
        long_key = queue(note("k" * 201))
        no_key = queue(note(""))
        fine = queue(note("k" * 200))

    for caller in (large, long_key, no_key):
        assert isinstance(caller.outcome(), ValueError)
    assert fine.value().seq == 3


def test_a_slow_change_is_refused_alone(here: Container) -> None:
    def slow(tx: Transaction) -> Document:
        here.clock.burn(CHANGE_CPU_SECONDS_MAX * 1.1)
        return tx.put("notes", "slow", {"text": ""})

    def quick(tx: Transaction) -> Document:
        here.clock.burn(CHANGE_CPU_SECONDS_MAX * 0.5)
        return tx.put("notes", "quick", {"text": ""})

    with here.one_batch() as queue:
        before, refused, after = queue(note("before")), queue(slow), queue(quick)

    assert problem(refused.outcome()) == errors.TOO_LARGE
    assert before.value().seq == after.value().seq == 3
    assert here.database.read(lambda view: view.get("notes", "slow")).value is None


def test_a_change_that_reads_too_long_is_refused_alone(here: Container) -> None:
    def endless(tx: Transaction) -> Document:
        here.clock.pass_monotonic(replica.READ_SECONDS + 0.1)
        return tx.require("notes", "first")

    with here.one_batch() as queue:
        before, refused, after = queue(note("before")), queue(endless), queue(note("after"))

    assert problem(refused.outcome()) == errors.BUSY
    assert before.value().seq == 3
    assert after.value().seq == 4


def test_a_batch_that_has_run_long_enough_is_cut(here: Container) -> None:
    def waiting(tx: Transaction) -> Document:
        here.clock.pass_monotonic(committer.BATCH_SECONDS * 0.3)  # twice, as it is a suspect
        return tx.put("notes", tx.new_id("note"), {"text": ""})

    with here.one_batch() as queue:
        callers = [queue(waiting) for _ in range(5)]

    assert [caller.value().seq for caller in callers] == [3, 3, 4, 4, 5]


def test_sqlites_failure_inside_a_change_is_not_the_changes_own(
    here: Container, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """The batch is run again on another replica, and nothing of the first run is left."""
    here.database.transact(add_stock("lily", 1))
    broken = here.replica
    with broken._connection() as connection:
        connection.execute("UPDATE docs SET body = replace(body, '620100', '620101')")

    with here.one_batch() as queue:
        sale, other = queue(sell("lily")), queue(note("n"))

    assert sale.value().seq == other.value().seq == 4
    assert here.replica is not broken
    assert "does not match its checksum" in caplog.text


def test_a_mistaken_statement_is_the_changes_own_and_costs_no_replica(here: Container) -> None:
    before = here.replica
    with here.one_batch() as queue:
        mistaken = queue(lambda tx: tx.find("orders_by_citizen", ("c",), limit=1, after=("x",)))
        fine = queue(note("n"))

    assert isinstance(mistaken.outcome(), Exception)
    assert problem(mistaken.outcome()) is None
    assert fine.value().seq == 3
    assert here.replica is before


def test_beyond_the_bound_of_waiting_writers_all_are_busy_at_once(world: World) -> None:
    here = world.container("here", limits=CommitLimits(waiting_max=3))
    here.store.inject("create", gate := Gate(), key=JOURNAL)
    waiting = [Caller(lambda i=i: here.database.transact(note(f"n{i}"))) for i in range(3)]  # type: ignore[misc]
    gate.wait()
    wait_until(lambda: here.committer._waiting == 3, "three are waiting")

    began = time.monotonic()
    with pytest.raises(Refused) as refused:
        here.database.transact(note("one too many"))

    assert time.monotonic() - began < 0.5
    assert refused.value.problem == errors.BUSY
    assert refused.value.retry_after_seconds
    assert here.committer.figures.shed == 1
    assert here.database.read(lambda view: view.seq).value == 1, "reads go on"
    gate.release()
    for caller in waiting:
        caller.value()
    assert here.database.transact(note("room again")).seq


def test_a_callers_patience_ends_and_its_change_is_not_run_later(world: World) -> None:
    here = world.container("here", limits=CommitLimits(patience_seconds=0.2))
    here.store.inject("create", gate := Gate(), key=JOURNAL)
    held = Caller(lambda: here.database.transact(note("held")))
    gate.wait()
    behind = Caller(lambda: here.database.transact(note("behind")))

    assert problem(behind.outcome(seconds=5)) == errors.BUSY
    assert problem(held.outcome(seconds=5)) == errors.BUSY
    gate.release()
    wait_until(lambda: here.committer.figures.entries == 1, "the held entry is stored")
    assert here.database.transact(note("next")).seq == 3
    seen = here.database.read(lambda view: (view.get("notes", "held"), view.get("notes", "behind")))
    assert seen.value[0] is not None, "what was offered to the store may still be stored"
    assert seen.value[1] is None


def test_a_round_that_never_wins_ends(world: World) -> None:
    here = world.container("here", limits=CommitLimits(round_seconds=1, patience_seconds=20))
    rounds: list[int] = []

    def overtaken(tx: Transaction) -> Document:
        rounds.append(tx.seq)
        here.clock.pass_monotonic(0.3)
        world.append()
        return tx.put("notes", "n", {"text": ""})

    outcome = Caller(lambda: here.database.transact(overtaken)).outcome()

    assert problem(outcome) == errors.BUSY
    assert 2 <= len(rounds) <= 6


def test_closing_finishes_what_waits_and_takes_no_more(here: Container) -> None:
    here.store.inject("create", gate := Gate(), key=JOURNAL)
    held = Caller(lambda: here.database.transact(note("held")))
    gate.wait()
    behind = Caller(lambda: here.database.transact(note("behind")))
    wait_until(lambda: len(here.committer._queue) == 1, "one more waits")
    writing = here.committer
    closing = Caller(writing.close)
    wait_until(lambda: writing._closed, "it is closing")
    late = Caller(lambda: writing.commit(note("late")))

    assert problem(late.outcome()) == errors.BUSY
    gate.release()
    closing.outcome()
    assert (held.value().seq, behind.value().seq) == (2, 3)


def test_what_one_round_ran_into_does_not_end_the_committing_thread(
    here: Container, caplog: pytest.LogCaptureFixture
) -> None:
    def odd(apply: object) -> None:
        raise ZeroDivisionError

    caplog.set_level(logging.CRITICAL + 1)  # its traceback is of no interest here
    here.store.inject("create", odd, key=JOURNAL)

    outcome = Caller(lambda: here.database.transact(note("n"))).outcome(seconds=5)
    assert problem(outcome) == errors.BUSY
    done: Committed[Document] = here.database.transact(note("n"))
    assert done.seq == 2
