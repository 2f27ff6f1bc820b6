"""`WriteAheadLog`: keeps a replica's log short. Commits append to it, and what it holds is copied
into the file ("folded"), after which SQLite begins it anew: as soon as nobody reads a state of it.
"""

import os
import sqlite3
import threading

from shared.clock import Clock

BUSY_SECONDS = 2.0
"""How long one process waits for another's write transaction, which takes a millisecond or two.

A holder that takes longer is frozen; the file is then condemned and another one built.
"""

BYTES_MAX = 64 << 20
"""Above this the log is folded into the file even if readers have to be waited for."""

FOLDED_PAGES = 8000
"""Of log at which a commit folds it itself, where `folding.py` did not come to it: 32 MB."""

FOLD_SECONDS = 0.05
"""How long they are waited for: nobody can write meanwhile, and short reads end within it."""

FOLD_PAUSE_SECONDS = 1.0
"""Between attempts, unless the log grows by an eighth of its bound: who copies the replica, or
feeds search from it, pins the log for longer than commits may be held up at every turn."""

SHORT_BYTES = 4 << 20
"""Of a log so short a turn's reads may hold one state (`Replica.one`). Under load somebody always
holds one then, and a log begins anew only while nobody does."""

CUT_SECONDS = 1.0
"""Between attempts to cut a longer file, whose log may have begun anew long ago: SQLite keeps its
length. To cut it each time it begins anew (`journal_size_limit`) takes a tenth of the orders."""


class WriteAheadLog:
    """That of one open replica. Thread-safe; each call takes the calling thread's connection."""

    def __init__(self, path: str, clock: Clock) -> None:
        self.path = path
        self._clock = clock
        # SQLite refuses the second of two who fold at once, without waiting.
        self._folding = threading.Lock()
        # What the latest attempt left of the log, and when that was.
        self._folded = (0, 0.0)
        self._cut = float("-inf")

    def size(self) -> int:
        """Bytes; 0 where the file is gone."""
        try:
            return os.stat(self.path).st_size  # noqa: PTH116 - after every commit
        except OSError:
            return 0

    def fold(self, connection: sqlite3.Connection) -> bool:
        """As far as readers allow; nobody waits for that. Whether the log is short: its file is cut
        now and then, for which commits wait until what is left of it is copied.
        """
        with self._folding:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            if self.size() <= SHORT_BYTES:
                return True
            now = self._clock.monotonic()
            if now < self._cut + CUT_SECONDS:
                return False
            self._cut = now
            self._fold_all(connection, 0.0)
        return self.size() <= SHORT_BYTES

    def bound(self, connection: sqlite3.Connection) -> None:
        """After a commit: wait for readers, for a moment, where the log has grown too long."""
        size = self.size()
        if size <= BYTES_MAX:
            return
        now = self._clock.monotonic()
        size_then, then = self._folded
        if size < size_then + BYTES_MAX // 8 and now < then + FOLD_PAUSE_SECONDS:
            return
        if self._folding.acquire(timeout=FOLD_SECONDS):
            try:
                self._fold_all(connection, FOLD_SECONDS)
            finally:
                self._folding.release()
        self._folded = (self.size(), now)

    def _fold_all(self, connection: sqlite3.Connection, seconds: float) -> None:
        connection.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
