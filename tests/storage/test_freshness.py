"""Reading: what a fresh read may never miss, and what a recent one may cost."""

import threading

import pytest

from shared import errors
from shared.storage.access import FRESH, Freshness, ReadView, recent
from shared.storage.evidence import READERS_WAITING_MAX
from shared.storage.memory import Gate, delay
from shared.storage.reads import PATIENCE_SECONDS
from tests.storage.world import (
    JOURNAL,
    Caller,
    Container,
    World,
    add_stock,
    key,
    note,
    problem,
    sell,
)
from tests.support.waiting import wait_until


def _seq(view: ReadView) -> int:
    return view.seq


def seq(container: Container, freshness: Freshness = FRESH) -> int:
    return container.database.read(_seq, freshness).value


def requests(container: Container) -> int:
    return len(container.store.calls)


def wait_for_readers(container: Container, count: int) -> None:
    """Until so many wait for a probe that is under way."""
    prover = container.database._opened().prover
    wait_until(lambda: len(prover._waiting) == count, f"{count} readers wait")


def test_a_fresh_read_sees_every_write_that_was_acknowledged_anywhere(world: World) -> None:
    """Many writers, each of whose acknowledged writes is looked for at once in other places."""
    here, there = world.container("here"), world.container("there")
    databases = [here.database, here.process(), there.database]
    stale: list[str] = []

    def run(worker: int) -> None:
        writer, reader = databases[worker % 3], databases[(worker + 1) % 3]
        for turn in range(25):
            done = writer.transact(note(f"n{worker}", f"{turn}"))
            seen = reader.read(lambda view: view.require("notes", f"n{worker}"))
            if seen.value.body["text"] != str(turn) or seen.seq < done.seq:
                stale.append(f"{worker}: wrote {turn} at {done.seq}, read {seen}")

    for caller in [Caller(lambda w=worker: run(w)) for worker in range(9)]:  # type: ignore[misc]
        caller.value(60)
    assert stale == []


def test_a_read_is_one_state_whatever_is_written_meanwhile(here: Container) -> None:
    """Invariant: what is left and what is sold always add up."""
    here.database.transact(add_stock("lily", 30))
    stop = threading.Event()
    sums: set[int] = set()

    def look() -> None:
        while not stop.is_set():
            stock, orders = here.database.read(
                lambda view: (
                    view.require("stock", "lily").body,
                    view.find("orders_by_citizen", ("c1",), limit=100),
                ),
                recent(0.05),
            ).value
            sums.add(stock["left"] + sum(hit.document.body["quantity"] for hit in orders))

    readers = [Caller(look) for _ in range(3)]
    for _ in range(30):
        here.database.transact(sell("lily"))
    stop.set()
    for reader in readers:
        reader.value()
    assert sums == {30}


def test_a_fresh_read_costs_one_get_where_nothing_is_new(here: Container) -> None:
    here.database.transact(note("n"))
    before = requests(here)

    assert seq(here) == 2
    assert requests(here) == before + 1
    assert here.store.calls[-1].operation == "get"


def test_a_read_behind_many_entries_lists_once_and_fetches_each_once(
    here: Container, there: Container
) -> None:
    for number in range(50):
        there.database.transact(note(f"n{number}"))
    lists, gets = here.store.count("list", JOURNAL), here.store.count("get", JOURNAL)

    assert seq(here) == 51
    assert here.store.count("list", JOURNAL) - lists <= 2
    assert here.store.count("get", JOURNAL) - gets == 50


def test_a_read_does_not_chase_a_head_that_keeps_moving(here: Container, there: Container) -> None:
    there.database.transact(note("a"))
    there.database.transact(note("b"))
    here.store.inject("get", gate := Gate(), key=key(3))
    reader = Caller(lambda: seq(here))
    gate.wait()  # the listing was made, and said 3
    there.database.transact(note("later"))
    before = here.store.count("get", key(4))
    gate.release()

    assert reader.value() == 3
    assert here.store.count("get", key(4)) == before


def test_a_winning_create_is_a_proof(here: Container) -> None:
    here.store.inject("create", gate := Gate(reply=True), key=JOURNAL)
    arrived = here.clock.monotonic()
    writer = Caller(lambda: here.database.transact(note("n")))
    gate.wait()
    gate.release()
    writer.value()
    before = requests(here)

    prover = here.database._opened().prover
    proof = prover.prove(arrived, here.clock.monotonic() + 5)
    assert proof.seq == 2
    assert requests(here) == before


def test_a_create_that_began_before_the_read_is_no_proof_for_it(
    here: Container, there: Container
) -> None:
    here.store.inject("create", stored := Gate(reply=True), key=JOURNAL)
    writer = Caller(lambda: here.database.transact(note("mine")))
    stored.wait()
    here.store.inject("get", probe := Gate(), key=JOURNAL)
    earlier = Caller(lambda: seq(here))
    probe.wait()
    there.database.transact(note("other"))
    reader = Caller(lambda: here.database.read(lambda view: view.get("notes", "other")))
    wait_for_readers(here, 1)
    stored.release()
    writer.value()
    probe.release()

    assert reader.value().value is not None
    earlier.value()


def test_waiting_readers_share_a_probe(here: Container, there: Container) -> None:
    there.database.transact(note("n"))
    here.probe()
    here.store.inject("get", gate := Gate(), key=JOURNAL)
    before = here.store.count("get", JOURNAL)
    first = Caller(lambda: seq(here))
    gate.wait()
    others = [Caller(lambda: seq(here)) for _ in range(20)]
    wait_for_readers(here, 20)
    gate.release()

    assert first.value() == 2
    assert [other.value() for other in others] == [2] * 20
    # One for the first; one for all who came while it was under way, as it began before them.
    assert here.store.count("get", JOURNAL) - before == 2


def test_a_probe_that_began_before_a_reader_arrived_does_not_serve_it(
    here: Container, there: Container
) -> None:
    here.store.inject("get", gate := Gate(reply=True), key=JOURNAL)
    first = Caller(lambda: seq(here))
    gate.wait()
    there.database.transact(note("n"))
    second = Caller(lambda: seq(here))
    wait_for_readers(here, 1)
    gate.release()

    first.value()
    assert second.value() == 2


def test_a_recent_read_rests_on_a_proof_within_its_bound(here: Container, there: Container) -> None:
    assert seq(here) == 1
    there.database.transact(note("n"))
    before = requests(here)

    assert seq(here, recent(5)) == 1
    assert requests(here) == before, "no request at all"
    here.clock.pass_monotonic(4)
    assert seq(here, recent(5)) == 1
    here.clock.pass_monotonic(2)
    assert seq(here, recent(5)) == 2
    assert requests(here) > before


def test_the_processes_of_a_container_share_their_proofs(here: Container) -> None:
    other = here.process()
    seq(here)
    before = requests(here)

    assert other.read(lambda view: view.seq, recent(5)).value == 1
    assert requests(here) == before


def test_a_client_that_names_its_seq_reads_its_own_write_without_a_request(
    here: Container, there: Container
) -> None:
    done = here.database.transact(note("n"))
    there.probe()
    here.clock.pass_monotonic(60)
    before = requests(here) + requests(there)

    for container in (here, there):
        assert seq(container, Freshness(at_least_seq=done.seq)) == 2
    assert requests(here) + requests(there) == before


@pytest.mark.parametrize("bound", [0.0, 60.0])
def test_where_the_replica_is_behind_the_named_seq_the_journal_is_asked(
    here: Container, there: Container, bound: float
) -> None:
    seq(there)
    done = here.database.transact(note("n"))

    assert seq(there, Freshness(bound_seconds=bound, at_least_seq=done.seq)) == 2


def test_a_seq_that_nobody_gave_out_is_served_what_there_is(here: Container) -> None:
    assert seq(here, Freshness(at_least_seq=10**9)) == 1


def test_an_idle_database_makes_no_requests(world: World) -> None:
    here = world.container("here", tails=True)
    here.database.transact(note("n"))
    wait_until(lambda: here.store.count("get", key(3)) >= 2, "the tailer follows")
    here.clock.pass_monotonic(60)
    tailer = here.database._opened().tailer
    wait_until(lambda: not tailer._wake.is_set(), "the tailer sleeps")
    before = requests(here)

    here.clock.pass_monotonic(600)
    threading.Event().wait(0.7)
    assert requests(here) == before
    seq(here, recent(1000))
    wait_until(lambda: requests(here) > before, "it wakes with the next request")


def test_one_process_of_a_container_tails_for_all(world: World) -> None:
    here = world.container("here", tails=True)
    other = here.process()
    for database in (here.database, other):
        database.read(lambda view: view.seq)
    before = here.store.count("get", JOURNAL)
    began = here.clock.monotonic()
    wait_until(lambda: here.store.count("get", JOURNAL) - before >= 3, "it probes")

    assert here.clock.monotonic() - began > 0.9, "not each of them does"
    assert other.read(lambda view: view.seq, recent(1.0)).value == 1


def test_a_tailed_container_learns_of_entries_without_being_asked(
    world: World, there: Container
) -> None:
    here = world.container("here", tails=True)
    seq(here)
    there.database.transact(note("n"))

    wait_until(lambda: here.replica.head().seq == 2, "it is followed")


def test_a_read_gives_up_when_its_patience_ends(here: Container) -> None:
    here.store.inject("get", gate := Gate(), key=JOURNAL)
    first = Caller(lambda: seq(here))
    gate.wait()
    waiting = Caller(lambda: seq(here))
    wait_for_readers(here, 1)
    prover = here.database._opened().prover
    here.clock.pass_monotonic(PATIENCE_SECONDS + 1)
    prover.note(prover.latest())

    assert problem(waiting.outcome(seconds=10)) == errors.BUSY
    gate.release()
    first.outcome()


def test_more_waiting_readers_than_its_bound_are_busy_at_once(here: Container) -> None:
    here.store.inject("get", gate := Gate(), key=JOURNAL)
    readers = [Caller(lambda: seq(here)) for _ in range(READERS_WAITING_MAX)]
    gate.wait()
    semaphore = here.database._opened().evidence._readers
    wait_until(lambda: semaphore._value == 0, "all of them wait")

    assert problem(Caller(lambda: seq(here)).outcome(seconds=2)) == errors.BUSY
    gate.release()
    assert {reader.value() for reader in readers} == {1}


def test_a_slow_store_delays_reads_but_does_not_make_them_stale(
    here: Container, there: Container
) -> None:
    there.database.transact(note("n"))
    here.store.inject("get", delay(here.clock, 0.2), key=JOURNAL)

    assert seq(here) == 2
