"""`Session`: one thread's connection to a replica."""

import sqlite3
import threading
import weakref

from shared.storage.reader import head_of


class Session:
    """`in_use` is held for as long as the thread works with the connection.

    Where requests are greenlets of one thread, those that are at hand together are a turn: in it
    the replica's files are looked at once, and what is read of one document after the other may be
    read of one state.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.in_use = threading.Lock()
        self.is_checked = False
        """In this turn."""
        self.may_hold = False
        self.held: int | None = None
        """The entry of the state that is held until the turn ends."""
        # Not by `__del__`: a collector may end the connection of a session first, which Python
        # from 3.13 on reports as a leak. This holds on to it for as long as the session lives.
        weakref.finalize(self, connection.close).atexit = False

    def hold(self) -> None:
        """Read one state from now on. Raises ReplicaBroken and sqlite3.Error."""
        self.connection.execute("BEGIN")
        try:
            self.held = head_of(self.connection).seq
        except BaseException:
            self._end()
            raise

    def let_go(self) -> None:
        """Hold no state any longer. Raises sqlite3.Error."""
        if self.held is not None:
            self.held = None
            self._end()

    def _end(self) -> None:
        # SQLite has ended it already where memory ran out, or reading failed.
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    def close_if_idle(self) -> None:
        """Close the connection, unless the thread is inside of it: that would crash the process."""
        if self.in_use.acquire(blocking=False):
            self.connection.close()
            self.in_use.release()
