"""A process that is stopped while it holds something stops the others no longer than stated.

The holders are real processes, stopped by SIGSTOP: file locks and SQLite's own locks stay with
them as they would with a container whose processor was taken away.
"""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shared.clock import SystemClock
from shared.storage import turnstile, wal
from tests.storage.world import Caller, Container, World, add_stock, note, sell

REBUILD_SECONDS = 3.0
"""What rebuilding these few entries, and a busy machine, may add."""

WRITE_LOCK = """
    import sqlite3, sys
    connection = sqlite3.connect(sys.argv[1], isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE head SET seq = 999, hash = 'of the frozen'")
    print("held", flush=True)
    sys.stdin.read()
    connection.execute("COMMIT")
"""

FILE_LOCK = """
    import fcntl, os, sys
    descriptor = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def frozen(script: str, path: Path) -> Iterator[Callable[[], int]]:
    """A process stopped while it holds `path`; what this gives thaws it and waits for its end."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None

    def thaw() -> int:
        os.kill(process.pid, signal.SIGCONT)
        process.stdin.close()  # type: ignore[union-attr]
        return process.wait(20)

    try:
        assert process.stdout.readline() == b"held\n"
        os.kill(process.pid, signal.SIGSTOP)
        yield thaw
    finally:
        process.kill()
        process.wait(20)
        process.stdin.close()
        process.stdout.close()


def took(call: Callable[[], object]) -> float:
    clock = SystemClock()
    began = clock.monotonic()
    Caller(call).value(60)
    return clock.monotonic() - began


def test_a_frozen_holder_of_sqlites_write_lock(here: Container, world: World) -> None:
    here.database.transact(add_stock("lily", 10))
    other = here.process()
    old = here.replica.path
    with frozen(WRITE_LOCK, old) as thaw:
        # It is stored and acknowledged; only the replica could not take it in.
        first = took(lambda: here.database.transact(sell("lily")))
        second = took(lambda: here.database.transact(sell("lily")))
        reading = took(lambda: other.read(lambda view: view.require("stock", "lily")))

        assert first <= wal.BUSY_SECONDS + REBUILD_SECONDS
        assert second <= wal.BUSY_SECONDS + REBUILD_SECONDS
        assert reading <= wal.BUSY_SECONDS + REBUILD_SECONDS
        assert here.replica.path != old
        assert took(lambda: here.database.transact(sell("lily"))) < 1.0, "and then no more"
        assert thaw() == 0
    assert here.database.transact(note("after")).seq == 6 == world.head()
    seen = other.read(lambda view: view.require("stock", "lily")).value.body
    assert (seen["left"], seen["sold"]) == (7, 3)


@pytest.mark.parametrize("name", ["main.lock", "next.lock"])
def test_a_frozen_holder_of_the_turnstile(here: Container, world: World, name: str) -> None:
    here.database.transact(note("before"))
    with frozen(FILE_LOCK, here.folder / name) as thaw:
        waited = took(lambda: here.database.transact(note("during")))
        reading = took(lambda: here.database.read(lambda view: view.get("notes", "during")))
        again = took(lambda: here.database.transact(note("again")))

        assert turnstile.PATIENCE_SECONDS * 0.9 <= waited <= turnstile.PATIENCE_SECONDS + 2
        assert again <= turnstile.PATIENCE_SECONDS + 2
        assert reading < 1.0, "reads need no turn"
        assert thaw() == 0
    assert took(lambda: here.database.transact(note("after"))) < turnstile.PATIENCE_SECONDS + 2
    assert took(lambda: here.database.transact(note("then"))) < 0.9
    assert world.head() == 6


def test_a_killed_holder_delays_nobody(here: Container) -> None:
    here.database.transact(note("before"))
    for script, path in (
        (FILE_LOCK, here.folder / "main.lock"),
        (WRITE_LOCK, here.replica.path),
    ):
        with frozen(script, path):
            pass
        assert took(lambda: here.database.transact(note("n"))) < 1.0
    assert here.follower.rebuilds == 1


def test_a_frozen_reader_stops_nobody(here: Container) -> None:
    script = """
        import sqlite3, sys
        connection = sqlite3.connect(sys.argv[1], isolation_level=None)
        connection.execute("BEGIN")
        connection.execute("SELECT * FROM docs").fetchone()
        print("held", flush=True)
        sys.stdin.read()
    """
    here.database.transact(note("before"))
    with frozen(script, here.replica.path):
        for number in range(5):
            assert took(lambda n=number: here.database.transact(note(f"n{n}"))) < 1.0  # type: ignore[misc]
    assert here.follower.rebuilds == 1
