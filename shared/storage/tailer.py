"""The tailer: while a container serves traffic, one thread keeps its proof of the head young.

Every process runs one, and a file lock elects the one that probes; when that process dies the
kernel hands the lock on. A container that serves nobody makes no requests: without a `touch` for
`IDLE_SECONDS` the tailer sleeps until the next one.
"""

import fcntl
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

from shared.clock import Clock
from shared.storage.journal import JournalGap
from shared.storage.objects import StoreError

log = logging.getLogger(__name__)

EVERY_SECONDS = 0.5
IDLE_SECONDS = 5.0


class Tailer:
    """Calls `tick` about twice a second while touched, in one process of the container."""

    def __init__(self, lock: Path, clock: Clock, tick: Callable[[], None]) -> None:
        self._lock_path = lock
        self._clock = clock
        self._tick = tick
        self._touched = float("-inf")
        self._wake = threading.Event()
        self._closed = False
        self._ticking: float | None = None
        self._start = threading.Lock()
        self._thread: threading.Thread | None = None

    def touch(self) -> None:
        """Say that a request is being served."""
        self._touched = self._clock.monotonic()
        if not self._wake.is_set():
            self._wake.set()
            with self._start:
                if self._thread is None and not self._closed:
                    self._begin()

    def _begin(self) -> None:
        thread = threading.Thread(target=self._loop, name="tailer", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # none is to be had; readers prove for themselves till the next touch
            self._wake.clear()
        else:
            self._thread = thread

    def has_ended(self) -> bool:
        """Whether the thread has ended, though nobody told it to."""
        thread = self._thread
        return thread is not None and not self._closed and not thread.is_alive()

    def ticking_seconds(self) -> float:
        """For how long the tick has been under way that is; 0 if none is."""
        began = self._ticking
        return 0.0 if began is None else self._clock.monotonic() - began

    def close(self) -> None:
        with self._start:
            self._closed = True
            self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def _loop(self) -> None:
        while True:
            self._wake.wait()
            try:
                self._follow()
            except OSError as error:  # the folder is gone until the replica is replaced
                log.warning("nobody can be elected to follow the journal: %s", error)
                self._clock.sleep(EVERY_SECONDS)
                if self._busy():
                    continue
            # In this order: a close between the two is seen, or wakes the next wait.
            self._wake.clear()
            if self._closed:
                return

    def _follow(self) -> None:
        descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while self._busy():
                if _elected(descriptor):
                    self._safely()
                self._clock.sleep(EVERY_SECONDS)
        finally:
            os.close(descriptor)

    def _busy(self) -> bool:
        return not self._closed and self._clock.monotonic() - self._touched < IDLE_SECONDS

    def _safely(self) -> None:
        self._ticking = self._clock.monotonic()
        try:
            self._tick()
        except (StoreError, JournalGap) as error:
            log.warning("the journal could not be followed: %s", error)
        except Exception:  # the next tick may do better, and readers prove for themselves
            log.exception("following the journal failed")
        finally:
            self._ticking = None


def _elected(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
