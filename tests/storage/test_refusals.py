"""Invariant 4: a refusal is a decision, and rests on a proof begun after the change was queued."""

from typing import Any

import pytest

from shared import errors
from shared.errors import Problem, Refused
from shared.storage import idempotency
from shared.storage.access import Change, Document, Transaction
from shared.storage.committer import CommitLimits
from shared.storage.journal import ATTEMPTS_MAX
from shared.storage.memory import Gate, Late, drop
from shared.storage.objects import Exists
from shared.storage.proofs import Proof
from tests.storage.world import (
    JOURNAL,
    SOLD_OUT,
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


def prove(container: Container) -> Proof:
    now = container.clock.monotonic()
    return container.database._opened().prover.prove(now, now + 10)


def test_stock_added_elsewhere_is_sold_at_once(here: Container, there: Container) -> None:
    here.database.transact(add_stock("lily", 0))
    there.database.transact(add_stock("lily", 1))

    assert here.database.transact(sell("lily")).seq == 4


def test_stock_gone_elsewhere_is_not_sold(here: Container, there: Container, world: World) -> None:
    here.database.transact(add_stock("lily", 1))
    there.database.transact(sell("lily"))

    outcome = Caller(lambda: here.database.transact(sell("lily"))).outcome()

    assert problem(outcome) == SOLD_OUT
    assert world.head() == 3


def test_what_was_made_elsewhere_is_found(here: Container, there: Container) -> None:
    there.database.transact(note("n", "made there"))

    found = here.database.transact(lambda tx: tx.require("notes", "n"))

    assert (found.value.body["text"], found.seq) == ("made there", 2)


def test_a_refusal_writes_nothing(here: Container, world: World) -> None:
    here.database.transact(add_stock("lily", 0))
    before = here.store.count("create")

    outcomes = together(*(lambda: here.database.transact(sell("lily")) for _ in range(20)))

    assert [problem(outcome) for outcome in outcomes] == [SOLD_OUT] * 20
    assert here.store.count("create") == before
    assert world.head() == 2


def test_a_proof_that_began_before_the_change_was_queued_decides_nothing(
    here: Container, there: Container
) -> None:
    here.database.transact(add_stock("lily", 0))
    # A reader's probe has found nothing new, but has not come back with it.
    here.store.inject("get", gate := Gate(reply=True), key=key(3))
    reader = Caller(lambda: here.database.read(lambda view: view.seq))
    gate.wait()
    there.database.transact(add_stock("lily", 1))
    sale = Caller(lambda: here.database.transact(sell("lily")))
    wait_until(lambda: here.committer.figures.rounds == 2, "the sale is tried")
    gate.release()

    assert reader.value().seq >= 2
    assert sale.value().seq == 4


def test_a_batch_is_decided_for_its_youngest_change(here: Container, there: Container) -> None:
    here.database.transact(add_stock("lily", 0))
    there.probe()
    with here.one_batch(reply=True) as queue:
        older = queue(sell("lily"))
        prove(here)  # begun after the older change was queued, before the younger one
        there.database.transact(add_stock("lily", 1))
        younger = queue(sell("lily"))

    assert older.value().seq == 5
    assert problem(younger.outcome()) == SOLD_OUT


def test_a_state_beyond_the_proof_is_as_good(here: Container, world: World) -> None:
    here.database.transact(add_stock("lily", 0))
    other = here.process()
    here.store.inject("create", gate := Gate(), key=JOURNAL)
    slow = Caller(lambda: other.transact(note("n")))
    gate.wait()
    refused = Caller(lambda: here.database.transact(sell("lily")))
    wait_until(lambda: len(here.committer._queue) == 1, "the sale waits for its turn")
    proof = prove(here)
    gate.release()

    assert slow.value().seq == 3 > proof.seq
    before = here.store.count("get", JOURNAL)
    assert problem(refused.outcome()) == SOLD_OUT
    assert here.store.count("get", JOURNAL) <= before + 2, "it does not ask again and again"


def test_a_refusal_in_a_batch_that_writes_is_proven_by_the_entry(here: Container) -> None:
    here.database.transact(add_stock("lily", 0))
    here.probe()
    with here.one_batch() as queue:
        before = here.store.count("get", JOURNAL)
        refused, written = queue(sell("lily")), queue(note("n"))

    assert problem(refused.outcome()) == SOLD_OUT
    assert written.value().seq == 4
    assert here.store.count("get", JOURNAL) == before


def test_a_refusal_of_a_batch_that_lost_is_reconsidered(here: Container, there: Container) -> None:
    here.database.transact(add_stock("lily", 0))
    there.probe()
    with here.one_batch() as queue:
        sale, other = queue(sell("lily")), queue(note("n"))
        here.store.inject("create", gate := Gate(), key=key(4))
    gate.wait()
    there.database.transact(add_stock("lily", 1))
    gate.release()

    assert sale.value().seq == other.value().seq == 5


def test_a_repetition_on_a_stale_container_is_answered_not_run(
    here: Container, there: Container, world: World
) -> None:
    here.database.transact(add_stock("lily", 2))
    there.probe()
    first = here.database.transact_once(claim("k"), sell("lily"))

    again = there.database.transact_once(claim("k"), sell("lily"))

    assert again.replayed
    assert again.value == first.value
    assert world.head() == 3


def test_a_refusal_is_kept_from_nobody_by_what_it_read_elsewhere(here: Container) -> None:
    def nosy(tx: Transaction) -> Document:
        tx.put("notes", "n", {"text": "never"})
        raise Refused(errors.FORBIDDEN)

    outcome = Caller(lambda: here.database.transact(nosy)).outcome()

    assert problem(outcome) == errors.FORBIDDEN
    assert here.database.read(lambda view: view.get("notes", "n")).value is None


# What only the hour refuses

CLOSED = Problem("closed", 409, "已关闭", "Closed")
NOT_YET = Problem("not-yet", 409, "尚未开始", "Not yet")


def sell_until(ms: int) -> Change[Document]:
    def change(tx: Transaction) -> Document:
        if tx.now_ms > ms:
            raise Refused(CLOSED)
        return sell("lily")(tx)

    return change


def given_up(container: Container, change: Change[Any]) -> Late:
    """Have a change's entry be given up that is still on its way to the store."""
    late = Late()
    container.store.inject("create", late, key=JOURNAL)
    container.store.inject("create", drop, key=JOURNAL, times=ATTEMPTS_MAX - 1)
    outcome = Caller(lambda: container.database.transact(change)).outcome()
    assert problem(outcome) == errors.BUSY
    return late


def test_what_is_refused_for_the_hour_cannot_land_afterwards(
    here: Container, there: Container, world: World
) -> None:
    here.database.transact(add_stock("lily", 1))
    there.probe()
    once = idempotency.once(claim("k"), sell_until(here.clock.now_ms() + 1000))
    late = given_up(here, once)
    world.pass_wall(seconds=2)

    again = Caller(lambda: there.database.transact(once))

    assert problem(again.outcome()) == CLOSED
    with pytest.raises(Exists):
        late.land()
    assert world.head() == 3


@pytest.mark.parametrize("how", ["a value", "an exception of the domain's own"])
def test_the_hour_may_refuse_by_whatever_the_domain_answers(
    here: Container, there: Container, world: World, how: str
) -> None:
    here.database.transact(add_stock("lily", 1))
    there.probe()
    closes_ms = here.clock.now_ms() + 1000

    def change(tx: Transaction) -> str:
        if tx.now_ms <= closes_ms:
            return sell("lily")(tx).key
        if how == "a value":
            return "expired"
        raise LookupError("expired")

    late = given_up(here, change)
    world.pass_wall(seconds=2)

    again = Caller(lambda: there.database.transact(change)).outcome()

    assert "expired" in repr(again)
    with pytest.raises(Exists):
        late.land()
    assert world.head() == 3


def test_who_comes_too_late_may_have_come_in_time(
    here: Container, there: Container, world: World
) -> None:
    """The head's time is before the window: it refuses too, but in other words."""
    here.database.transact(add_stock("lily", 1))
    there.probe()
    opens_ms = here.clock.now_ms() + 1000

    def change(tx: Transaction) -> Document:
        if tx.now_ms < opens_ms:
            raise Refused(NOT_YET)
        return sell_until(opens_ms + 1000)(tx)

    world.pass_wall(seconds=1)
    late = given_up(here, change)
    world.pass_wall(seconds=2)

    assert problem(Caller(lambda: there.database.transact(change)).outcome()) == CLOSED
    with pytest.raises(Exists):
        late.land()


def test_what_a_change_ran_into_earlier_concerns_nobody_else(here: Container, world: World) -> None:
    here.database.transact(add_stock("lily", 0))
    closes_ms = here.clock.now_ms() + 1000

    def odd(tx: Transaction) -> None:
        if tx.now_ms > closes_ms:
            raise Refused(CLOSED)
        raise ZeroDivisionError

    with here.one_batch() as queue:
        world.pass_wall(seconds=2)
        callers = [queue(sell("lily")), queue(odd)]

    assert [problem(caller.outcome()) for caller in callers] == [SOLD_OUT, CLOSED]


def test_what_is_answered_at_any_hour_writes_nothing(here: Container, world: World) -> None:
    here.database.transact(add_stock("lily", 1))
    here.database.transact_once(claim("k"), sell("lily"))

    def too_large(tx: Transaction) -> None:
        for name in range(20):
            tx.put("notes", f"{tx.now_ms}-{name}", {"text": "x" * 250_000})

    for _ in range(3):
        world.pass_wall(seconds=1)
        here.database.transact(lambda tx: tx.now_ms)
        here.database.transact_once(claim("k"), sell("lily"))
        outcome = Caller(lambda: here.database.transact(too_large)).outcome()
        assert problem(outcome) == errors.TOO_LARGE

    assert world.head() == 3


def test_the_hour_takes_one_entry_however_many_it_refuses(here: Container, world: World) -> None:
    here.database.transact(add_stock("lily", 1))
    closes_ms = here.clock.now_ms()
    world.pass_wall(seconds=1)

    for _ in range(3):
        outcome = Caller(lambda: here.database.transact(sell_until(closes_ms))).outcome()
        assert problem(outcome) == CLOSED

    assert world.head() == 3


def test_what_the_state_refuses_at_any_hour_writes_nothing(here: Container, world: World) -> None:
    here.database.transact(add_stock("lily", 0))
    closes_ms = here.clock.now_ms() + 3_600_000
    world.pass_wall(seconds=1)

    outcome = Caller(lambda: here.database.transact(sell_until(closes_ms))).outcome()

    assert problem(outcome) == SOLD_OUT
    assert world.head() == 2


def test_what_its_caller_gave_up_is_not_done_on_a_later_state(world: World) -> None:
    """The caller asks elsewhere, is refused, and must not find it done after all."""
    here = world.container("here", limits=CommitLimits(patience_seconds=0.2))
    there = world.container("there")
    there.database.transact(add_stock("lily", 0))
    here.probe()
    here.store.inject("get", gate := Gate(), key=JOURNAL)
    given_up = Caller(lambda: here.database.transact_once(claim("k"), sell("lily")))
    gate.wait()
    assert problem(given_up.outcome()) == errors.BUSY
    again = Caller(lambda: there.database.transact_once(claim("k"), sell("lily")))
    assert problem(again.outcome()) == SOLD_OUT
    there.database.transact(add_stock("lily", 1))

    gate.release()

    last = Caller(lambda: here.database.transact(note("last")))
    wait_until(lambda: not here.committer._queue, "the round that was given up is over")
    last.outcome()
    there.probe()
    stock = there.database.read(lambda view: view.require("stock", "lily")).value
    assert (stock.body["left"], stock.body["sold"]) == (1, 0)
