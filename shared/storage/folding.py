"""Folding: copies a replica's write-ahead log into its file, beside those who write it.

SQLite would do so within the commit that makes the log long, which every caller of that commit
waits for: a fifth of the time of applying entries. Here a thread does it after each, while the next
entry is decided and stored; SQLite lets go of the interpreter meanwhile. Nothing depends on it: a
log that grows all the same is folded by a commit (`Replica`).
"""

import logging
import threading
from collections.abc import Callable

from shared.storage.reader import ReadTooLong, ReplicaBroken
from shared.storage.replica import Replica
from shared.storage.wal import CUT_SECONDS

log = logging.getLogger(__name__)


class Folding:
    """One process's folding of the replica that is `current`. Its thread starts after fork."""

    def __init__(self, current: Callable[[], Replica]) -> None:
        self._current = current
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._closed = False
        self._thread: threading.Thread | None = None

    def tell(self) -> None:
        """Say that entries were applied."""
        if self._thread is None:
            self._begin()
        self._wake.set()

    def _begin(self) -> None:
        with self._lock:
            if self._thread is not None or self._closed:
                return
            thread = threading.Thread(target=self._loop, name="folding", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # none is to be had; the next entry tries again
                return
            self._thread = thread

    def close(self) -> None:
        with self._lock:
            self._closed = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def _loop(self) -> None:
        is_short = True
        while True:
            self._wake.wait(None if is_short else CUT_SECONDS)
            self._wake.clear()
            if self._closed:
                return
            is_short = self._fold()

    def _fold(self) -> bool:
        """Whether there is nothing to be done before the next entry."""
        try:
            return self._current().fold()
        except (ReplicaBroken, ReadTooLong) as error:
            # Whoever writes or reads next meets the same, and does what has to be done.
            log.debug("the log was not folded: %s", error)
            return True
