"""What a container stands on: clocks, file locks, descriptors and SQLite, as the engine sees them.

`installed` puts these in place of the standard library's in the engine's modules, and takes them
out again. File locks and SQLite files are real; waiting for a lock, and the moment around a commit,
are simulated. A `Process` that dies lets go of what the kernel would have taken from it: its
descriptors, so its file locks, and its SQLite connections with the transactions they were in.
"""

import fcntl as real_fcntl
import gzip
import os as real_os
import shutil
import sqlite3 as real_sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from weakref import finalize, ref

from shared import waiting
from shared.storage import (
    chores,
    committer,
    compaction,
    database,
    directory,
    evidence,
    folding,
    follower,
    journal,
    makers,
    proofs,
    pulse,
    replica,
    rounds,
    snapshot,
    tailer,
    turnstile,
)
from tests.simulation import threads
from tests.simulation.scheduler import Scheduler, Waiters, scheduler
from tests.support.clock import NEW_YEAR_MS

SNAPSHOT_BYTES = 6 << 10
"""Of journal to replay, after which a snapshot is made; in production 16 MiB."""

SEGMENT_ENTRIES = 6
"""Of a segment of level 1; in production 1,000."""

SEGMENT_BYTES = 5 << 10
"""With which one ends earlier, as level 2 where it is cut; in production 16 MiB."""

SEGMENTS_MERGED = 3
"""Of them in one of level 2; in production 50."""

SEGMENT_WORTH_ENTRIES = 3
"""Which a segment is worth reading for; in production 200."""


class InOrder:
    """A `WeakSet` whose order is that of adding, and not of addresses."""

    def __init__(self) -> None:
        self._added: list[ref[Any]] = []

    def add(self, each: object) -> None:
        self._added.append(ref(each))

    def __iter__(self) -> Iterator[Any]:
        found = (each() for each in self._added)
        return (each for each in found if each is not None)


class Process:
    """One operating-system process of a container."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.frozen_until = float("-inf")
        self.disk_is_full = False
        self.descriptors: set[int] = set()
        self.connections = InOrder()

    def kill(self) -> None:
        """`kill -9`."""
        self.alive = False
        for descriptor in self.descriptors:
            real_os.close(descriptor)
        self.descriptors.clear()
        for connection in list(self.connections):
            connection.close()
        scheduler().wake(_lock_waiters())


class MachineClock:
    """A container's clock, `shared.clock.Clock`: its wall time can be set, its monotonic not."""

    def __init__(self, here: Scheduler, booted: float) -> None:
        self._scheduler = here
        self._booted = booted
        self.ahead_ms = 0

    def now_ms(self) -> int:
        self._scheduler.pause()
        return NEW_YEAR_MS + int(self._scheduler.now * 1000) + self.ahead_ms

    def monotonic(self) -> float:
        self._scheduler.pause()
        return self._scheduler.now + self._booted

    def cpu(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        self._scheduler.sleep(seconds)

    def random(self, size: int) -> bytes:
        return self._scheduler.random.randbytes(size)


def _owner() -> Process | None:
    owner = scheduler().task.owner
    return owner if isinstance(owner, Process) else None


class _Os:
    """`os`, but whose descriptors die with their process."""

    def __getattr__(self, name: str) -> Any:
        return getattr(real_os, name)

    def open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        descriptor = real_os.open(path, flags, mode)
        owner = _owner()
        if owner is not None:
            owner.descriptors.add(descriptor)
        return descriptor

    def close(self, descriptor: int) -> None:
        owner = _owner()
        if owner is not None:
            if descriptor not in owner.descriptors:
                return  # of a dead process, whose number another may have by now
            owner.descriptors.remove(descriptor)
        real_os.close(descriptor)
        scheduler().wake(_lock_waiters())


class _Fcntl:
    """`fcntl`, with a `flock` that waits in simulated time."""

    def __getattr__(self, name: str) -> Any:
        return getattr(real_fcntl, name)

    def flock(self, descriptor: int, operation: int) -> None:
        here = scheduler()
        here.pause()
        if operation == real_fcntl.LOCK_UN or operation & real_fcntl.LOCK_NB:
            real_fcntl.flock(descriptor, operation)
            if operation == real_fcntl.LOCK_UN:
                here.wake(_lock_waiters())
            return
        while True:
            try:
                real_fcntl.flock(descriptor, operation | real_fcntl.LOCK_NB)
            except BlockingIOError:
                here.block(_lock_waiters())
            else:
                return


_waiting_for_locks: list[tuple[Scheduler, Waiters]] = []


def _lock_waiters() -> Waiters:
    """Those who wait for a file lock in the simulation that runs."""
    here = scheduler()
    if not _waiting_for_locks or _waiting_for_locks[0][0] is not here:
        _waiting_for_locks[:] = [(here, Waiters())]
    return _waiting_for_locks[0][1]


class _Connection(real_sqlite3.Connection):
    """Before and after a commit, the process may die; on a full disk SQLite gives a write up."""

    def executemany(self, sql: str, parameters: Any, /) -> real_sqlite3.Cursor:
        owner = _owner()
        if owner is not None and owner.disk_is_full:
            self.rollback()
            raise real_sqlite3.OperationalError("database or disk is full")
        return super().executemany(sql, parameters)

    def execute(self, sql: str, parameters: Any = (), /) -> real_sqlite3.Cursor:
        if sql == "COMMIT":
            scheduler().pause("commit")
            cursor = super().execute(sql, parameters)
            scheduler().pause("committed")
            return cursor
        return super().execute(sql, parameters)

    def set_progress_handler(self, progress_handler: Any, n: int) -> None:
        """In the middle of a statement nobody else may run: who closed the connection then, as a
        death does, would take the statement from under SQLite, which crashes.
        """

        def asked() -> Any:
            with scheduler().holding():
                return progress_handler()

        super().set_progress_handler(progress_handler and asked, n)


class _Sqlite:
    def __getattr__(self, name: str) -> Any:
        return getattr(real_sqlite3, name)

    def connect(self, path: str, **options: Any) -> real_sqlite3.Connection:
        connection = real_sqlite3.connect(path, factory=_Connection, **options)
        owner = _owner()
        if owner is not None:
            owner.connections.add(connection)
        return connection


def _make_snapshot(source: Path, copy: Path) -> None:
    """What `python -m shared.storage.snapshot` does, in this process."""
    here = scheduler()
    here.pause("snapshot")
    here.sleep(here.random.random())
    snapshot.vacuum_into(source, copy)
    snapshot._check_rows(copy)
    with copy.open("rb") as plain, gzip.open(f"{copy}.gz", "wb", compresslevel=1) as packed:
        shutil.copyfileobj(plain, packed)


_THREADING = SimpleNamespace(
    Lock=threads.Lock,
    Condition=threads.Condition,
    Event=threads.Event,
    BoundedSemaphore=threads.BoundedSemaphore,
    Thread=threads.Thread,
    local=threads.Local,
)


@contextmanager
def installed(here: Scheduler) -> Iterator[None]:
    """The engine on simulated threads, for the length of the block."""
    with ExitStack() as stack:
        threaded = (
            *(
                chores,
                committer,
                database,
                evidence,
                folding,
                follower,
                makers,
                proofs,
                pulse,
                replica,
                rounds,
                tailer,
            ),
            *(turnstile, waiting),
        )
        for module in threaded:
            stack.enter_context(patch.object(module, "threading", _THREADING))
        for module in (directory, tailer, turnstile):
            stack.enter_context(patch.object(module, "fcntl", _Fcntl()))
        for module in (directory, proofs, tailer, turnstile):
            stack.enter_context(patch.object(module, "os", _Os()))
        stack.enter_context(patch.object(replica, "sqlite3", _Sqlite()))
        weak = SimpleNamespace(WeakSet=InOrder, finalize=finalize)
        stack.enter_context(patch.object(replica, "weakref", weak))
        stack.enter_context(patch.object(journal, "ThreadPoolExecutor", threads.Executor))
        stack.enter_context(patch.object(snapshot, "_run_maker", _make_snapshot))
        stack.enter_context(patch.object(snapshot, "REPLAY_BYTES_MIN", SNAPSHOT_BYTES))
        stack.enter_context(patch.object(snapshot, "REPLAY_SHARE", 1 << 40))
        stack.enter_context(patch.object(compaction, "CUT_ENTRIES_MAX", SEGMENT_ENTRIES))
        stack.enter_context(patch.object(compaction, "MERGED_MAX", SEGMENTS_MERGED))
        stack.enter_context(patch.object(compaction, "BYTES_MIN", SEGMENT_BYTES))
        stack.enter_context(patch.object(journal, "SEGMENT_ENTRIES_MIN", SEGMENT_WORTH_ENTRIES))
        stack.enter_context(patch.object(Scheduler, "current", here))
        try:
            yield
        finally:
            here.end()
