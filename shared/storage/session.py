"""`Session`: one thread's connection to a replica."""

import sqlite3
import threading
import weakref


class Session:
    """`in_use` is held for as long as the thread works with the connection; `is_checked` while the
    replica's files need not be looked at again for what that thread reads.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.in_use = threading.Lock()
        self.is_checked = False
        # Not by `__del__`: a collector may end the connection of a session first, which Python
        # from 3.13 on reports as a leak. This holds on to it for as long as the session lives.
        weakref.finalize(self, connection.close).atexit = False

    def check_again(self) -> None:
        """What was at hand has been served."""
        self.is_checked = False

    def close_if_idle(self) -> None:
        """Close the connection, unless the thread is inside of it: that would crash the process."""
        if self.in_use.acquire(blocking=False):
            self.connection.close()
            self.in_use.release()
