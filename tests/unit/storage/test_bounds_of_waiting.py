"""Nothing waits without bound, and no thread that others rely on ends unnoticed."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import gevent
import pytest
from gevent.hub import get_hub

from shared import errors, waiting
from shared.clock import SystemClock
from shared.storage import database as databases
from shared.storage import follower
from shared.storage.access import Document, Freshness, Transaction
from shared.storage.catalogue import Catalogue, Collection
from shared.storage.database import JournalDatabase
from shared.storage.makers import Maker
from shared.storage.memory import MemoryStore
from shared.storage.replica import Replica
from shared.storage.tailer import Tailer
from shared.web.greenlets import GreenletWays
from tests.support.waiting import wait_until


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def database(store: MemoryStore, tmp_path: Path) -> Iterator[JournalDatabase]:
    opened = JournalDatabase(
        store, Catalogue(Collection("notes")), prefix="", directory=tmp_path, clock=SystemClock()
    )
    with closing(opened):
        opened.transact(write_note)
        yield opened


def write_note(tx: Transaction) -> Document:
    return tx.put("notes", tx.new_id("note"), {})


def test_who_meets_a_replica_under_repair_is_refused_in_time(
    database: JournalDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "RENEW_SECONDS", 0.05)
    opened = database._opened().follower
    # Not a gate at the store: the tailer, which follows meanwhile, would run into it as well.
    building, built = threading.Event(), threading.Event()
    restore = opened._snapshots.restore

    def slowly(path: Path) -> bool:
        building.set()
        assert built.wait(20)
        return restore(path)

    monkeypatch.setattr(opened._snapshots, "restore", slowly)
    repair = threading.Thread(target=opened.renew, args=(opened.replica,))
    repair.start()
    assert building.wait(20)

    with pytest.raises(errors.Refused) as refusal:
        database.read(lambda view: view.seq)
    with pytest.raises(errors.Refused):
        database.transact(write_note)
    built.set()
    repair.join(20)

    assert refusal.value.problem is errors.BUSY
    assert database.transact(write_note).seq == 3


def test_who_waits_for_a_replica_keeps_no_thread_from_others(
    database: JournalDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads of a pool that all readers wait in are threads that no store call has."""
    monkeypatch.setattr(follower, "RENEW_SECONDS", 1.0)
    opened = database._opened().follower
    seq = database.read(lambda view: view.seq).seq
    building, built = threading.Event(), threading.Event()

    def slowly(*_: object) -> Replica:
        building.set()
        assert built.wait(20)
        return opened.replica

    monkeypatch.setattr(opened._directory, "replace", slowly)
    repair = threading.Thread(target=opened.renew, args=(opened.replica,))
    repair.start()
    assert building.wait(20)
    opened.replica.close()
    hub = get_hub()
    hub.threadpool.maxsize, before = 1, hub.threadpool.maxsize
    waiting.wait_by(GreenletWays(hub))

    def read() -> object:
        try:
            return database.read(
                lambda view: view.require("notes", "n"), Freshness(at_least_seq=seq)
            ).value
        except errors.Refused as refused:
            return refused.problem

    try:
        readers = [gevent.spawn(read) for _ in range(8)]
        gevent.sleep(0)
        other = gevent.spawn(lambda: waiting.apart(lambda: "done"))
        assert other.get(timeout=0.9) == "done"
        assert [each.get(timeout=5) for each in readers] == [errors.BUSY] * 8
    finally:
        waiting._here.ways = None
        hub.threadpool.maxsize = before
        built.set()
        repair.join(20)


def test_closing_does_not_wait_for_what_is_being_made(
    database: JournalDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "CLOSE_SECONDS", 0.05)
    making = threading.Event()
    maker = Maker("snapshot", lambda _: "claim", lambda _: making.wait(20))
    database._makers = (maker,)
    maker.consider(database._opened().follower.replica.head())

    database.close()

    assert maker.busy
    making.set()


def test_a_tailer_outlives_its_folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "folder"
    ticks: list[int] = []
    tailer = Tailer(folder / "tailer.lock", SystemClock(), lambda: ticks.append(1))
    with closing(tailer):
        tailer.touch()
        wait_until(lambda: "tailer.lock" in caplog.text, "the tailer finds no folder")
        folder.mkdir()

        wait_until(lambda: bool(ticks), "the tailer ticks")
