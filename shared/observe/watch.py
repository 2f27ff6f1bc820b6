"""What nobody tells, so that somebody has to look: one thread a process, a second at a time.

Each process says how many changes wait in it. One of a container's, elected by a lock that the
kernel hands on, says the rest: how its replica stands, whether it can serve, what the store's clock
is, and whether the books balance. What asks the store is at most one request each five seconds, in
a container that nobody asks for anything; else it is known already.
"""

import fcntl
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

from shared.clock import Clock
from shared.observe import measures
from shared.observe.metrics import Metrics
from shared.storage.watched import Watched

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0
LOOK_SECONDS = 5.0

CHECK_SECONDS = 60.0
CHECK_SECONDS_MAX = 5.0
"""How long one look at the books may hold a state of the replica."""

CHECK_SHARE = 0.02
"""Of one processor at most: books that take long to read are read more rarely."""


class Watch:
    """One process's. `opened` gives the open database, `ready` whether reads are served."""

    def __init__(
        self,
        metrics: Metrics,
        database: str,
        opened: Callable[[], Watched | None],
        ready: Callable[[], bool],
        skew_ms: Callable[[], int | None],
        lock: Path,
        clock: Clock,
    ) -> None:
        self._metrics = metrics
        self._database = database
        self._opened = opened
        self._ready = ready
        self._skew_ms = skew_ms
        self._lock = lock
        self._clock = clock
        self._closed = threading.Event()
        self._descriptor: int | None = None
        self._looked = self._checked = float("-inf")
        self._every = CHECK_SECONDS
        self._level_at = clock.monotonic()

    def start(self) -> None:
        """Look, from now on, until `close`."""
        threading.Thread(target=self._loop, name="watch", daemon=True).start()

    def close(self) -> None:
        self._closed.set()

    def _loop(self) -> None:
        while not self._closed.wait(TICK_SECONDS):
            try:
                self.tick()
            except Exception:  # the next look may do better
                log.exception("the container could not be looked at")

    def tick(self) -> None:
        """Look once."""
        opened = self._opened()
        if opened is not None:
            self._set(measures.QUEUE_DEPTH, opened.waiting)
        if not self._is_elected():
            return
        now = self._clock.monotonic()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            self._metrics.gauge(measures.READY).set(self._ready())
            self._look(self._opened())
        if opened is not None and now - self._checked >= self._every:
            self._checked = now
            self._check(opened)

    def _look(self, opened: Watched | None) -> None:
        skew_ms = self._skew_ms()
        if skew_ms is not None:
            self._metrics.gauge(measures.CLOCK_OFFSET).set(skew_ms / 1000)
        standing = None if opened is None else opened.standing()
        if standing is not None:
            self._level_at = max(self._level_at, standing.level_at or 0.0)
            self._set(measures.REPLICA_APPLIED, standing.applied)
            self._set(measures.REPLICA_LAG, standing.known - standing.applied)
            self._set(measures.UNAPPLICABLE, standing.is_blocked)
        self._set(measures.REPLICA_AGE, max(0.0, self._clock.monotonic() - self._level_at))

    def _check(self, opened: Watched) -> None:
        began = self._clock.monotonic()
        violations = opened.unbalanced(CHECK_SECONDS_MAX)
        taken = self._clock.monotonic() - began
        self._every = max(CHECK_SECONDS, taken / CHECK_SHARE)
        if violations is None:
            return
        self._set(measures.VIOLATIONS, violations)
        self._set(measures.CHECKED, self._clock.now_ms() / 1000)
        if violations:
            log.error("the books of %d documents of %s do not balance", violations, self._database)

    def _set(self, measure: measures.Measure, value: float) -> None:
        self._metrics.gauge(measure, database=self._database).set(value)

    def _is_elected(self) -> bool:
        if self._descriptor is not None:
            return True
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True
