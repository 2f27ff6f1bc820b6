"""Invariants 6 and 9: a replica that is not exactly the journal's is rebuilt, whatever it is."""

import shutil
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from shared import errors
from shared.storage import replica as replicas
from shared.storage.access import Document, Freshness, ReadView, Search, Transaction
from shared.storage.catalogue import Catalogue, Collection, Index
from shared.storage.idempotency import with_rows
from shared.storage.reader import ReadTooLong, ReplicaBroken
from shared.storage.replica import build
from tests.storage.world import (
    CATALOGUE,
    JOURNAL,
    SOLD_OUT,
    Caller,
    Container,
    World,
    add_stock,
    key,
    note,
    out_of_descriptors,
    problem,
    sell,
)
from tests.support.waiting import wait_until

Damage = Callable[[Path], object]


def truncate(path: Path, size: int) -> None:
    with path.open("r+b") as file:
        file.truncate(size)


def built(path: Path, seq: int) -> Path:
    """The replica of another journal, at `seq`, beside `path`: built in its place it would share
    a log with whoever has the old file open, and SQLite would not let it be made.
    """
    other = path.with_name("other.db")
    build(other, with_rows(CATALOGUE), "foreign")
    rewrite(other, f"UPDATE head SET seq = {seq}, hash = 'foreign'")
    return other


def foreign(path: Path) -> None:
    """Another journal's replica, where for a moment there was none."""
    other = built(path, 3)
    path.unlink()
    other.rename(path)


def replaced(path: Path) -> None:
    """Another journal's replica, moved over the one in use."""
    built(path, 1000).replace(path)


def rewrite(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()


DAMAGE: dict[str, Damage] = {
    "deleted": Path.unlink,
    "emptied": lambda path: truncate(path, 0),
    "truncated to a page": lambda path: truncate(path, 4096),
    "truncated by a page": lambda path: truncate(path, path.stat().st_size - 4096),
    "truncated within a page": lambda path: truncate(path, path.stat().st_size - 1000),
    "garbage": lambda path: path.write_bytes(b"garbage" * 4096),
    "foreign": foreign,
    "replaced": replaced,
    "without a head": lambda path: rewrite(path, "DELETE FROM head"),
    "without a table": lambda path: rewrite(path, "DROP TABLE IF EXISTS docs"),
    "without its text rows": lambda path: rewrite(path, "DROP TABLE IF EXISTS text_rows"),
    "other content": lambda path: rewrite(path, "UPDATE docs SET body = '{}'"),
    "folder deleted": lambda path: shutil.rmtree(path.parent, ignore_errors=True),
    "link deleted": lambda path: (path.parent.parent / "current").unlink(),
    "all deleted": lambda path: shutil.rmtree(path.parent.parent, ignore_errors=True),
}


def lily(tx: Transaction) -> Document:
    return tx.put("products", "lily", {"name_zh": "兰州百合", "name_en": "lily"})


def fill(container: Container) -> None:
    container.database.transact(add_stock("lily", 100))
    container.database.transact(lily)
    for name in range(20):
        container.database.transact(note(f"n{name}", "x" * 500))


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_replica_is_rebuilt_on_opening(
    here: Container, there: Container, world: World, damage: Damage
) -> None:
    fill(here)
    path = here.replica.path
    here.close()
    damage(path)
    # Something to apply on opening, in every table.
    there.database.transact(lily)
    there.database.transact(sell("lily"))

    here.process()
    found = here.database.read(lambda view: view.search(Search("products", "百合"), limit=9)).value

    assert [hit.document.key for hit in found] == ["lily"]
    everything = here.database.read(
        lambda view: [view.require("notes", f"n{i}") for i in range(20)]
    )
    assert len(everything.value) == 20
    assert here.dump() == world.replayed()
    assert here.database.troubles() == []
    assert here.database.transact(sell("lily")).seq == world.head()


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_replica_damaged_under_load_loses_nothing(
    here: Container, world: World, damage: Damage
) -> None:
    fill(here)
    other = here.process()
    stop = threading.Event()
    sold: list[int] = []
    unexpected: list[object] = []

    def load(call: Callable[[], object]) -> None:
        while not stop.is_set():
            outcome = Caller(call).outcome()
            # Whoever damages may be kept waiting until all is sold.
            expected = (errors.BUSY, SOLD_OUT) if len(sold) == 100 else (errors.BUSY,)
            if isinstance(outcome, Exception) and problem(outcome) not in expected:
                unexpected.append(outcome)

    def selling() -> None:
        sold.append(here.database.transact(sell("lily")).seq)

    def sold_by(count: int) -> None:
        # Looking without a pause would keep the interpreter from those who are to sell.
        wait_until(lambda: bool(unexpected) or len(sold) >= count, "sales", step_seconds=0.005)
        assert not unexpected

    threads = [
        Caller(lambda: load(selling)),
        Caller(lambda: load(lambda: here.database.read(lambda view: view.get("notes", "n7")))),
        Caller(lambda: load(lambda: other.transact(lily))),
        Caller(lambda: load(lambda: other.read(lambda view: view.require("stock", "lily")))),
    ]
    for _ in range(2):
        before = len(sold)
        sold_by(min(before + 3, 100))
        damage(here.replica.path)
    sold_by(min(before + 6, 100))
    stop.set()
    for thread in threads:
        thread.value()

    assert not unexpected
    orders = {w.key for e in world.entries() for w in e.writes if w.collection == "orders"}
    assert len(orders) == len(sold)
    stock = other.read(lambda view: view.require("stock", "lily")).value.body
    assert (stock["left"], stock["sold"]) == (100 - len(sold), len(sold))


def restore(world: World, head: int) -> None:
    """The bucket as it was when its head was `head`."""
    for seq in range(world.head(), head, -1):
        world.bucket.delete(key(seq))


def test_a_replica_ahead_of_a_restored_journal_is_rebuilt(here: Container, world: World) -> None:
    fill(here)
    here.close()
    restore(world, 5)

    here.process()

    assert here.follower.rebuilds == 1
    assert here.replica.head().seq == 5
    assert here.database.transact(note("after")).seq == 6
    assert here.database.read(lambda view: view.get("notes", "n15")).value is None


def test_a_replica_of_a_history_that_was_restored_away_is_rebuilt(
    here: Container, world: World
) -> None:
    fill(here)
    here.close()
    restore(world, 5)
    there = world.container("there")
    for _ in range(30):
        there.database.transact(note("other", "history"))

    here.process()

    assert here.follower.rebuilds == 1
    assert here.dump() == there.dump()


def test_a_replica_that_runs_while_its_history_is_restored_away_is_rebuilt(
    here: Container, world: World
) -> None:
    fill(here)
    restore(world, 5)
    there = world.container("there")
    for _ in range(30):
        there.database.transact(note("other", "history"))

    seen = here.database.read(lambda view: view.get("notes", "n15"))

    assert (seen.value, seen.seq) == (None, 35)
    assert here.database.troubles() == []
    assert here.dump() == there.dump()


def test_a_sound_replica_is_kept(here: Container) -> None:
    fill(here)
    path = here.replica.path
    here.restart()
    other = here.process()

    assert here.follower.rebuilds == 0
    assert here.replica.path == other._opened().follower.replica.path == path
    assert here.store.count("get", key(5)) == 0


def test_whether_the_journal_holds_ones_head_is_asked_not_assumed(
    here: Container, world: World
) -> None:
    fill(here)
    here.close()
    here.process(opened=False)
    before = here.store.count("get", key(world.head()))
    here.open(here.database)

    assert here.store.count("get", key(world.head())) == before + 1


def test_other_indexes_have_a_replica_of_their_own(here: Container, world: World) -> None:
    fill(here)
    by_left = Index("stock_by_left", ("left",))
    collections = [*CATALOGUE.collections.values()]
    changed = Catalogue(Collection("stock", indexes=(by_left,)), *collections[1:])
    newer = world.container("here", catalogue=changed)

    assert newer.replica.path != here.replica.path
    hits = newer.database.read(lambda view: view.find("stock_by_left", (100,), limit=9)).value
    assert [hit.document.key for hit in hits] == ["lily"]
    # The older release goes on beside it, as during a rollout.
    assert here.database.transact(sell("lily")).seq == newer.probe()
    assert newer.dump() == here.dump()


def test_a_replica_published_by_another_process_is_used_from_the_next_transaction_on(
    here: Container,
) -> None:
    fill(here)
    other = here.process()._opened().follower
    old = here.replica
    other.renew(other.replica)

    with pytest.raises(ReplicaBroken):
        old.check()
    assert here.database.read(lambda view: view.get("notes", "n1")).value is not None
    assert here.replica.path == other.replica.path != old.path
    assert here.follower.rebuilds == 1 + 1, "one as it was made, and one adopted"
    other.renew(other.replica)
    assert here.database.transact(note("n")).seq == 24
    assert here.replica.path == other.replica.path


@pytest.mark.parametrize("damage", [Path.unlink, replaced, lambda path: shutil.rmtree(path.parent)])
def test_a_file_that_is_no_longer_in_its_place_is_given_up_at_once(
    here: Container, damage: Damage
) -> None:
    fill(here)
    old = here.replica
    damage(old.path)

    with pytest.raises(ReplicaBroken):
        old.check()
    assert here.database.read(lambda view: view.get("notes", "n1")).value is not None
    assert here.replica.path != old.path


def test_no_thread_opens_what_stands_in_an_open_files_place(
    here: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite would take it for a file that nobody uses yet, cut short the memory that the log is
    mapped to, and whoever looks into the log next would die by SIGBUS.
    """
    old = here.replica
    opened = replicas._opened

    def too_late(path: Path, mode: str) -> sqlite3.Connection:
        if path == old.path:
            replaced(path)
        return opened(path, mode)

    monkeypatch.setattr(replicas, "_opened", too_late)
    shared = Path(f"{old.path}-shm")
    before = shared.stat().st_mtime_ns
    newcomer = Caller(old.head)

    with pytest.raises(ReplicaBroken, match="another file stands in"):
        newcomer.value()
    assert shared.stat().st_mtime_ns == before


def test_who_replaces_a_replica_does_not_open_the_broken_one(
    here: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others of the process may still look into its log: see above."""
    old = here.replica
    replaced(old.path)
    opened = replicas._opened
    paths: list[Path] = []

    def noted(path: Path, mode: str) -> sqlite3.Connection:
        paths.append(path)
        return opened(path, mode)

    monkeypatch.setattr(replicas, "_opened", noted)
    here.follower.renew(old)

    assert here.replica.path in paths
    assert old.path not in paths


def test_who_is_out_of_descriptors_is_busy_and_condemns_nothing(here: Container) -> None:
    here.database.transact(note("n"))
    used, known, other = here.replica, Freshness(at_least_seq=2), here.process()
    calls: tuple[Callable[[], object], ...] = (
        lambda: here.database.read(lambda view: view.seq, known),
        lambda: here.database.read_one("notes", "n", known),
        lambda: other.transact(note("m")),
    )
    for call in calls:
        with out_of_descriptors():
            outcome = Caller(call).outcome()
        assert problem(outcome) == errors.BUSY

    assert [Caller(call).value() for call in calls]
    assert here.replica is used
    assert here.follower.rebuilds == 1


def test_who_is_out_of_descriptors_does_not_take_a_replica_for_missing(here: Container) -> None:
    with out_of_descriptors(), pytest.raises(ReadTooLong):
        here.follower._directory.published()


def test_a_row_that_does_not_match_its_checksum_is_never_answered(
    here: Container, world: World
) -> None:
    fill(here)
    statements = [
        "UPDATE docs SET body = replace(body, ':100', ':900') WHERE key = 'lily'",
        "UPDATE docs SET revision = revision + 1 WHERE key = 'lily'",
        "UPDATE docs SET version = 7 WHERE key = 'lily'",
        "UPDATE docs SET key = 'lily2' WHERE collection = 'stock'",
        # What is no UTF-8 the driver cannot even fetch.
        """UPDATE docs SET body = replace(body, '{', '{"x":"' || CAST(x'ff' AS TEXT) || '",')""",
    ]
    for rebuilds, statement in enumerate(statements, 2):
        with here.replica._connection() as connection:
            connection.execute(statement)
        found = here.database.read(
            lambda view: view.find("stock_by_county", ("620100",), limit=9)
        ).value
        assert [hit.document.key for hit in found] == ["lily"]
        assert here.follower.rebuilds == rebuilds
        assert here.dump() == world.replayed()


def test_nothing_opens_a_replicas_file_but_sqlite(here: Container, opened_paths: list[str]) -> None:
    """Closing any other descriptor of it would drop SQLite's locks."""
    fill(here)
    process = here.process()
    process.read(lambda view: view.get("notes", "n1"))
    process._opened().follower.renew(here.replica)
    here.database.transact(sell("lily"))
    here.replica.log.size()
    here.restart()

    plain = [path for path in opened_paths if "replica.db" in path]
    assert plain == []
    assert any("proof" in path for path in opened_paths), "the hook sees plain opens"


def test_connections_belong_to_one_thread_and_end_with_it(here: Container) -> None:
    replica = here.replica
    held: dict[int, int] = {}

    def use() -> None:
        for _ in range(3):
            with replica._connection() as connection:
                held.setdefault(threading.get_ident(), id(connection))
                assert held[threading.get_ident()] == id(connection)
            barrier.wait(20)

    barrier = threading.Barrier(4)
    before = len(replica._sessions)
    for caller in [Caller(use) for _ in range(4)]:
        caller.value()

    assert len(set(held.values())) == 4
    assert len(replica._sessions) == before


def test_connections_do_not_map_the_file_and_keep_the_log(here: Container) -> None:
    with here.replica._connection() as connection:
        assert connection.execute("PRAGMA mmap_size").fetchall() in ([], [(0,)])
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_the_committing_threads_connection_serves_no_reads(here: Container) -> None:
    threads: dict[str, set[int]] = {"write": set(), "read": set()}

    def connection_of(kind: str) -> None:
        threads[kind].add(id(here.replica._local.session.connection))

    def change(tx: Transaction) -> Document:
        connection_of("write")
        return note("n")(tx)

    def query(view: ReadView) -> None:
        connection_of("read")

    for _ in range(3):
        here.database.transact(change)
        Caller(lambda: here.database.read(query)).value()

    assert not threads["write"] & threads["read"]


def test_before_its_first_use_a_database_holds_nothing_that_a_fork_would_share(
    world: World,
) -> None:
    threads = threading.active_count()
    here = world.container("here", opened=False)

    assert threading.active_count() == threads
    assert here.store.calls == []
    assert not here.root.exists()
    here.open(here.database)
    assert here.store.count("create", JOURNAL) == 1


def test_a_use_inside_another_one_is_named(here: Container) -> None:
    outcome = Caller(
        lambda: here.database.read(lambda view: here.database.read(lambda inner: inner.seq))
    ).outcome()

    assert isinstance(outcome, RuntimeError)
