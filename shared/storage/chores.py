"""`Chores`: what a service tidies while a container serves, whether or not anybody asks for it."""

import logging
import threading
from collections.abc import Callable
from typing import Any

from shared.clock import Clock
from shared.storage.access import Change, Chore, Query

log = logging.getLogger(__name__)

CHORE_SECONDS = 2.0
"""Between looks at whether the service's chore is due."""

CHORES_MAX = 50
"""Of one look, lest a chore that is never done keeps a thread for itself."""


class Chores:
    """One process's chore. `read` and `commit` are the database's, past what keeps it awake."""

    def __init__(
        self,
        chore: Chore | None,
        clock: Clock,
        *,
        read: Callable[[Query[bool]], bool],
        commit: Callable[[Change[Any]], object],
        stopped: Callable[[], bool],
    ) -> None:
        self.chore = chore
        self._clock = clock
        self._read = read
        self._commit = commit
        self._stopped = stopped
        self._looked = float("-inf")
        self._thread: threading.Thread | None = None

    def consider(self, now: float) -> None:
        """Do the chore in a thread, if its last one is done: a commit may wait for the store."""
        if self.chore is None or now - self._looked <= CHORE_SECONDS:
            return
        self._looked = now
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self.tidy, name="chore", daemon=True)
            self._thread.start()

    def tidy(self) -> None:
        """Do the chore for as long as it is due."""
        chore = self.chore
        if chore is None:
            return
        try:
            for _ in range(CHORES_MAX):
                now_ms = self._clock.now_ms()
                due = self._read(lambda view: chore.due(view, now_ms))  # noqa: B023
                if self._stopped() or not due:
                    return
                self._commit(chore.change)
        except Exception as error:  # noqa: BLE001 - the next tick tries again
            log.warning("a chore could not be done: %r", error)

    def join(self, seconds: float) -> None:
        """Wait for the one under way."""
        if self._thread is not None:
            self._thread.join(seconds)
