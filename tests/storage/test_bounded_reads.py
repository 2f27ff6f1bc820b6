"""Invariant 10: reads are short, and cannot pin, crash or slow down what is shared."""

import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest

from shared import errors
from shared.storage import replica, wal
from shared.storage.access import Freshness, ReadView, Transaction, recent
from shared.storage.reader import Reader, ReadTooLong, ReplicaBroken
from shared.storage.replica import READ_SECONDS, Replica
from tests.storage.world import JOURNAL, Caller, Container, note, problem
from tests.support.waiting import wait_until

ENDLESS = (
    "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers)"
    " SELECT n FROM numbers WHERE n < 0"
)


def fill(container: Container, count: int, size: int = 10) -> None:
    def change(tx: Transaction) -> None:
        for number in range(count):
            tx.put("notes", f"n{number:05}", {"text": "x" * size})

    container.database.transact(change)


def test_a_statement_that_runs_past_the_deadline_is_cut_off(here: Container) -> None:
    began = here.clock.monotonic()
    with pytest.raises(ReadTooLong), here.replica.reading(0.2) as reader:
        reader.rows("notes", (ENDLESS, []), 1)

    assert here.clock.monotonic() - began < 1.5
    assert here.database.read(lambda view: view.seq).value == 1, "the connection serves on"
    assert here.follower.rebuilds == 1


def test_a_loop_of_short_statements_is_cut_off_as_well(here: Container) -> None:
    fill(here, 3)
    turns: list[int] = []

    def endless(view: ReadView) -> None:
        while True:
            turns.append(1)
            here.clock.pass_monotonic(READ_SECONDS / 4)
            view.get("notes", "n00000")

    outcome = Caller(lambda: here.database.read(endless, Freshness(at_least_seq=1))).outcome()
    assert problem(outcome) == errors.BUSY
    assert len(turns) <= 6
    assert here.follower.rebuilds == 1


def test_a_read_that_ends_behind_its_deadline_ends_well(
    here: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite asks its handler once in 20,000 steps, and any statement may come to be asked."""
    monkeypatch.setattr(replica, "_PROGRESS_STEPS", 1)
    with here.replica.reading():
        here.clock.pass_monotonic(10 * READ_SECONDS)

    assert here.replica.head().seq == 1


def test_the_deadline_of_a_read_does_not_cut_off_what_is_applied_later(here: Container) -> None:
    def late(apply: Any) -> Any:
        here.clock.pass_monotonic(10 * READ_SECONDS)
        return apply()

    here.store.inject("create", late, key=JOURNAL)
    fill(here, 1500)

    assert here.replica.head().seq == 2
    assert here.follower.rebuilds == 1


def test_a_read_leaves_no_transaction_open(here: Container) -> None:
    fill(here, 3)

    def failing(view: ReadView) -> None:
        view.get("notes", "n00000")
        raise ZeroDivisionError

    def open_after(query: Any) -> bool:
        Caller(lambda: here.database.read(query, recent(60))).outcome()
        return any(session.connection.in_transaction for session in here.replica._sessions)

    assert not open_after(lambda view: view.find("orders_by_citizen", ("c",), limit=1))
    assert not open_after(failing)


def test_a_read_is_fetched_to_its_end_at_once(here: Container) -> None:
    fill(here, 30)
    with here.replica.reading() as reader:
        found = reader.rows("notes", ("SELECT key, revision, version, sum, body FROM docs", []), 9)

    assert isinstance(found, list)
    assert len(found) == 9


def test_a_state_does_not_change_while_it_is_read(here: Container) -> None:
    fill(here, 1)
    inside, go_on = threading.Event(), threading.Event()

    def query(view: ReadView) -> tuple[Any, Any]:
        before = view.require("notes", "n00000").revision
        inside.set()
        assert go_on.wait(20)
        return before, view.require("notes", "n00000").revision

    reading = Caller(lambda: here.database.read(query))
    assert inside.wait(20)
    fill(here, 1)
    go_on.set()

    before, after = reading.value().value
    assert before == after
    assert reading.value().seq == 2


def test_the_log_is_bounded_under_writes_and_reads(
    here: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wal, "BYTES_MAX", 100_000)
    stop = threading.Event()

    def reading() -> None:
        while not stop.is_set():
            here.database.read(lambda view: view.get("notes", "n00001"), recent(60))

    reader = Caller(reading)
    sizes = []
    for _ in range(30):
        fill(here, 10, 3000)
        sizes.append(here.replica.log.size())
    stop.set()
    reader.value()

    assert max(sizes) < 100_000 + 200_000, "the bound, and one entry"
    assert min(sizes[10:]) < 100_000


@pytest.mark.usefixtures("folding")
def test_the_log_is_folded_beside_those_who_write(here: Container) -> None:
    before = here.replica.path.stat().st_size

    fill(here, 1000, 3000)

    # By itself a commit would only do so at 32 MB.
    wait_until(lambda: here.replica.path.stat().st_size > before + 3_000_000, "the log is folded")


@pytest.mark.usefixtures("folding")
def test_who_folds_the_log_does_so_alone(here: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite refuses the second of two at once, and a commit would go on with a log that grows."""
    fill(here, 1)
    here.replica.fold()  # which opens this thread's connection
    monkeypatch.setattr(wal, "BYTES_MAX", 0)
    monkeypatch.setattr(wal, "FOLD_SECONDS", 20.0)
    alone: dict[str, bool] = {}

    def heard(statement: str) -> None:
        if "wal_checkpoint" in statement:
            alone[statement] = here.replica.log._folding.locked() and alone.get(statement, True)

    for session in list(here.replica._sessions):
        session.connection.set_trace_callback(heard)
    here.replica.fold()
    fill(here, 1)

    assert alone == {
        "PRAGMA wal_checkpoint(PASSIVE)": True,
        "PRAGMA wal_checkpoint(TRUNCATE)": True,
    }


@pytest.mark.usefixtures("folding")
def test_a_log_that_has_grown_is_cut_beside_those_who_write(
    here: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wal, "SHORT_BYTES", 1_000_000)
    fill(here, 1)
    with here.replica.reading():
        fill(here, 700, 3000)
        assert not Caller(here.replica.fold).value(), "somebody reads a state of it"
    assert here.replica.log.size() > 1_000_000

    here.clock.pass_monotonic(wal.CUT_SECONDS)
    # By the thread, that is, which no entry wakes.
    wait_until(lambda: here.replica.log.size() == 0, "the log to be cut")


def test_a_log_that_cannot_be_folded_beside_them_is_folded_by_who_writes(
    here: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Replica) -> None:
        raise ReplicaBroken("not now")

    monkeypatch.setattr(Replica, "fold", refuse)
    for _ in range(20):
        fill(here, 1000, 3000)

    assert here.replica.log.size() < 45_000_000, "32 MB, and what one entry adds"
    assert here.replica.path.stat().st_size > 3_000_000


def test_a_reader_that_pins_the_log_delays_a_write_no_longer_than_stated(
    here: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wal, "BYTES_MAX", 10_000)
    fill(here, 1)
    began = here.clock.monotonic()
    with here.replica.reading():
        for _ in range(10):
            fill(here, 10, 3000)
    took = here.clock.monotonic() - began

    assert took < 10 * wal.FOLD_SECONDS + 2
    fill(here, 1)
    assert here.replica.log.size() <= 40_000


def test_a_pinned_log_is_tried_again_when_it_has_grown_or_after_a_while(
    here: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wal, "BYTES_MAX", 4_000_000)
    monkeypatch.setattr(wal, "FOLD_PAUSE_SECONDS", 1000.0)
    fill(here, 1)
    asked: list[str] = []
    for session in here.replica._sessions:
        session.connection.set_trace_callback(asked.append)

    def tries() -> int:
        return sum("wal_checkpoint(TRUNCATE)" in each for each in asked)

    with here.replica.reading():
        while not tries():
            fill(here, 150, 3000)
        for _ in range(10):
            here.database.transact(note("n"))
        assert tries() == 1
        fill(here, 150, 3000)
        assert tries() == 2
        here.clock.pass_monotonic(1000)
        here.database.transact(note("n"))
        assert tries() == 3

    here.clock.pass_monotonic(1000)
    here.database.transact(note("n"))
    assert here.replica.log.size() == 0


CLOSER = """
    import sys, threading, time
    from pathlib import Path
    from shared.clock import SystemClock
    from shared.storage.catalogue import Catalogue, Collection
    from shared.storage.entry import Entry, Write, encode
    from shared.storage.reader import ReplicaBroken
    from shared.storage.replica import Replica, build

    path, catalogue = Path(sys.argv[1]), Catalogue(Collection("notes"))
    build(path, catalogue, "database")
    anchor = Replica(path, catalogue, SystemClock())
    writes = tuple(Write("notes", f"n{i}", i, 1, b'{"a":"%d"}' % i) for i in range(20000))
    anchor.apply(encode(Entry(1, "c", "w", "", 0, writes)), 1)
    count = "SELECT key, revision, version, sum, body FROM docs WHERE body LIKE '%9999%'"

    def read(replica):
        try:
            while True:
                with replica.reading() as reader:
                    reader.rows("notes", (count, []), 10)
        except ReplicaBroken:
            pass

    end = time.monotonic() + 2
    while time.monotonic() < end:
        replica = Replica(path, catalogue, SystemClock())
        threads = [threading.Thread(target=read, args=(replica,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(0.01)
        replica.close()
        for thread in threads:
            thread.join()
        assert all(not s.in_use.locked() for s in replica._sessions)
"""


def test_closing_a_replica_that_others_read_does_not_crash_the_process(tmp_path: Path) -> None:
    """Closing a connection under the thread that uses it is a segmentation fault."""
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CLOSER), str(tmp_path / "replica.db")],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr.decode()
    assert ended.stderr == b""


def test_a_closed_replicas_connections_are_closed_by_whoever_is_last(here: Container) -> None:
    old = here.replica
    inside, go_on = threading.Event(), threading.Event()

    def hold() -> int:
        with old.reading() as reader:
            inside.set()
            assert go_on.wait(20)
            return count(reader)

    def count(reader: Reader) -> int:
        return len(list(reader.dump()))

    here.database.transact(note("n"))
    reading = Caller(hold)
    assert inside.wait(20)
    old.close()
    here.follower.renew(old)
    go_on.set()

    assert reading.value() == 1, "what was being read is read to its end"
    sessions = list(old._sessions)
    for session in sessions:
        with pytest.raises(Exception, match="closed"):
            session.connection.execute("SELECT 1")
